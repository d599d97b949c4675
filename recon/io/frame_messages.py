"""Messages of a stream of frames: a header, frames, an end; each of several parts, the first of them JSON.

Header
    ``{"type": "header", "format": "unflat-frames", "format_version": "1.0", "scan": ID, "name": NAME, "frames": N,
    "frame_arrays": [ARRAY, ...], "arrays": [ARRAY, ...], "groups": {PATH: ATTRIBUTES}}``, where ARRAY is
    ``{"path": "measurement/images", "dtype": "<u2", "shape": [512, 512], "attributes": {"units": "counts"}}``. One part
    follows for each of ``arrays``: its bytes in C order, or the JSON list of its texts for the data type ``text``.
Frame
    ``{"type": "frame", "scan": ID, "index": 0}``; one part of bytes follows for each of ``frame_arrays``.
End
    ``{"type": "end", "scan": ID}``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from ..errors import DataError, Diagnostic
from .frame_scan import MOST_FRAMES, TEXT, FrameArray, FrameScan
from .hdf5_common import FORMAT_VERSION

FORMAT = "unflat-frames"
LARGEST = 1 << 30
"""[bytes] Largest part of a message, that is, one array."""
_MOST_ARRAYS = 1000
"""Largest number of arrays of a scan, and of groups."""
_KINDS = "iufcb"
"""Kinds of data types, as NumPy names them."""

Parts: TypeAlias = Sequence[bytes | memoryview]
_Identity = Annotated[str, Field(min_length=1, max_length=200)]


def _refuse_dots(path: str) -> str:
    if {".", ".."} & set(path.split("/")):
        raise ValueError("has a part of dots alone")
    return path


def _check_attribute(value: Any) -> Any:
    """Refuse what is no attribute of HDF5: mixed lists, objects, numbers beyond 64 bits."""
    try:
        kind = np.asarray(value).dtype.kind
    except ValueError:
        kind = "O"
    if kind not in "biuf" and not (kind == "U" and all(isinstance(v, str) for v in np.asarray(value, object).ravel())):
        raise ValueError("is neither text nor a number, nor a list of either")
    return value


_Attributes = dict[Annotated[str, Field(min_length=1)], Annotated[Any, AfterValidator(_check_attribute)]]
_Path = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$", max_length=300), AfterValidator(_refuse_dots)]
_Group = Annotated[str, Field(pattern=r"^$|^[^/\x00]+(/[^/\x00]+)*$", max_length=300), AfterValidator(_refuse_dots)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Array(_Message):
    path: _Path
    dtype: str
    shape: list[Annotated[int, Field(ge=0)]] = Field(max_length=8)
    attributes: _Attributes = {}

    @field_validator("dtype")
    @classmethod
    def _check_dtype(cls, name: str) -> str:
        if name == TEXT:
            return name
        try:
            dtype = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            raise ValueError(f"{name!r} is no data type such as '<u2'") from None
        if dtype.kind not in _KINDS or dtype.shape or dtype.fields:
            raise ValueError(f"{name!r} is no type of plain numbers")
        return dtype.str


class _Header(_Message):
    type: Literal["header"]
    format: Literal["unflat-frames"]
    format_version: str
    scan: _Identity
    name: str
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    frame_arrays: list[_Array] = Field(min_length=1, max_length=_MOST_ARRAYS)
    arrays: list[_Array] = Field([], max_length=_MOST_ARRAYS)
    groups: dict[_Group, _Attributes] = Field({}, max_length=_MOST_ARRAYS)


class _Frame(_Message):
    type: Literal["frame"]
    scan: _Identity
    index: int


class _End(_Message):
    type: Literal["end"]
    scan: _Identity


_ADAPTER: TypeAdapter[_Header | _Frame | _End] = TypeAdapter(
    Annotated[_Header | _Frame | _End, Field(discriminator="type")]
)


@dataclass(frozen=True)
class FrameMessage:
    """A frame of a scan.

    Args:
        scan: Identity of the scan.
        index: Index of the frame.
        parts: Bytes of the entry of each array.
    """

    scan: str
    index: int
    parts: tuple[bytes | memoryview, ...]

    def entries(self, scan: FrameScan) -> list[np.ndarray]:
        """Convert the bytes to one entry of each array of a scan.

        Raises:
            DataError: If the frame does not suit the scan.
        """
        where = f"{scan.name}, frame {self.index}"
        if not 0 <= self.index < scan.frames:
            raise DataError(Diagnostic(where, f"there is no such frame: the scan has frames 0 to {scan.frames - 1}"))
        if len(self.parts) != len(scan.frame_arrays):
            message = f"comes with {len(self.parts)} arrays; the header names {len(scan.frame_arrays)}"
            raise DataError(Diagnostic(where, message))
        for array, part in zip(scan.frame_arrays, self.parts, strict=True):
            if len(part) != array.size:
                message = f"{array.path} has {len(part)} bytes; {array.shape} of {array.dtype} are {array.size}"
                raise DataError(Diagnostic(where, message))
        return [a.from_bytes(part) for a, part in zip(scan.frame_arrays, self.parts, strict=True)]


@dataclass(frozen=True)
class EndMessage:
    """End of a scan.

    Args:
        scan: Identity of the scan.
    """

    scan: str


def encode_header(scan: FrameScan) -> list[bytes]:
    """Encode everything about a scan but its frames."""
    content = {
        "type": "header",
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "scan": scan.identity,
        "name": scan.name,
        "frames": scan.frames,
        "frame_arrays": [_array_json(array) for array in scan.frame_arrays],
        "arrays": [_array_json(array) for array in scan.fixed],
        "groups": scan.groups,
    }
    values = [_value_bytes(array, value) for array, value in zip(scan.fixed, scan.values, strict=True)]
    return [json.dumps(content).encode(), *values]


def encode_frame(identity: str, index: int, entries: Sequence[np.ndarray]) -> list[bytes]:
    """Encode a frame."""
    head = json.dumps({"type": "frame", "scan": identity, "index": index}).encode()
    return [head, *(np.ascontiguousarray(entry).tobytes() for entry in entries)]


def encode_end(identity: str) -> list[bytes]:
    """Encode the end of a scan."""
    return [json.dumps({"type": "end", "scan": identity}).encode()]


def decode(parts: Parts) -> FrameScan | FrameMessage | EndMessage:
    """Decode a message.

    Returns:
        The scan of a header, a frame, or an end.

    Raises:
        DataError: If it is no such message.
    """
    try:
        message = _ADAPTER.validate_json(bytes(parts[0]) if parts else b"")
    except ValidationError as error:
        first = error.errors()[0]
        place, text = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise DataError(Diagnostic("message", f"{place}: {text}" if place else text)) from error
    if isinstance(message, _Frame):
        return FrameMessage(message.scan, message.index, tuple(parts[1:]))
    return EndMessage(message.scan) if isinstance(message, _End) else _scan(message, parts[1:])


def _scan(header: _Header, parts: Parts) -> FrameScan:
    """Build the scan of a header.

    Raises:
        DataError: If its arrays do not have the bytes that it says.
    """
    where = f"header of {header.name}"
    if header.format_version.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        message = f"format version {header.format_version}; this reads {FORMAT_VERSION}"
        raise DataError(Diagnostic(where, message, "upgrade unflat"))
    arrays = [_frame_array(array, per_frame=False) for array in header.arrays]
    moving = [_frame_array(array, per_frame=True) for array in header.frame_arrays]
    if len({array.path for array in (*arrays, *moving)}) < len(arrays) + len(moving):
        raise DataError(Diagnostic(where, "names an array twice"))
    if bad := [a.path for a in (*arrays, *moving) if a.size > LARGEST or (a.per_frame and a.dtype == TEXT)]:
        raise DataError(Diagnostic(where, f"{bad[0]} is too large, or text for each frame"))
    if len(arrays) != len(parts):
        raise DataError(Diagnostic(where, f"comes with {len(parts)} arrays, and names {len(arrays)}"))
    values = tuple(_value(array, part, where) for array, part in zip(arrays, parts, strict=True))
    return FrameScan(header.name, header.scan, header.frames, tuple(moving), tuple(arrays), values, header.groups)


def _frame_array(array: _Array, *, per_frame: bool) -> FrameArray:
    return FrameArray(array.path, array.dtype, tuple(array.shape), per_frame, array.attributes)


def _value(array: FrameArray, content: bytes | memoryview, where: str) -> np.ndarray:
    if array.dtype != TEXT:
        if len(content) != array.size:
            message = f"{array.path} has {len(content)} bytes; {array.shape} of {array.dtype} are {array.size}"
            raise DataError(Diagnostic(where, message))
        return array.from_bytes(content)
    try:
        texts = TypeAdapter(list[str]).validate_json(bytes(content))
        return np.array(texts, dtype=object).reshape(array.shape)
    except ValueError as error:
        raise DataError(Diagnostic(where, f"{array.path} is no JSON list of {array.shape} texts")) from error


def _array_json(array: FrameArray) -> dict[str, Any]:
    return {"path": array.path, "dtype": array.dtype, "shape": array.shape, "attributes": array.attributes}


def _value_bytes(array: FrameArray, value: np.ndarray) -> bytes:
    if array.dtype == TEXT:
        return json.dumps([str(text) for text in value.ravel()]).encode()
    return np.ascontiguousarray(value).tobytes()
