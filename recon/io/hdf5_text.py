"""Text in the attributes of HDF5 files: written with a fixed length, and read as ``str`` however it is stored.

Text of variable length lies in the global heap of a file, which all of it shares: one damaged byte there makes HDF5
hang, crash, or ask for gigabytes. Text of a fixed length lies in the header of its object.
"""

from typing import Any

import h5py
import numpy as np

_LARGEST = 60_000
"""[bytes] Size of an attribute above which it does not fit into the header of its object."""


class TextAttributes(h5py.AttributeManager):  # type: ignore[misc]
    """Attributes whose text is ``str`` at any length; h5py gives bytes for text of a fixed length."""

    def __getitem__(self, name: Any) -> Any:
        """Return the value of an attribute."""
        value = super().__getitem__(name)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, np.ndarray) and value.dtype.kind == "S":
            return np.array([text.decode(errors="replace") for text in value.flat], object).reshape(value.shape)
        return value


def fix_texts(file: h5py.File) -> None:
    """Give the text of all attributes of a file a fixed length; text that is too long for one stays as it is."""
    nodes = [file["/"]]
    file.visititems(lambda _, node: nodes.append(node))
    for node in nodes:
        for name in list(node.attrs):
            kind = h5py.check_string_dtype(node.attrs.get_id(name).dtype)
            if kind is not None and kind.length is None:
                _fix(node.attrs, name)


def _fix(attributes: Any, name: str) -> None:
    value = attributes[name]
    if isinstance(value, h5py.Empty):
        return
    texts = [text.encode() if isinstance(text, str) else bytes(text) for text in np.ravel(np.asarray(value, object))]
    length = max(map(len, texts), default=0) or 1
    if 0 < len(texts) * length <= _LARGEST:
        dtype = h5py.string_dtype("utf-8", length)
        attributes.create(name, np.array(texts, dtype).reshape(np.shape(value)), dtype=dtype)
