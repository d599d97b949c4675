"""TIFF stacks of images as named arrays.

The images stand at ``/measurement/images``, and the pixel size of an OME-TIFF or ImageJ stack at
``/instrument/pixel_size``: the paths of our own files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import IMAGES, PIXEL_SIZE, LazyArray, LazyArrays, take
from .tiff import COPY_AGAIN, damage_reported, open_tiff, read_metadata


@contextmanager
def open_stack(path: Path) -> Iterator[LazyArrays]:
    """Open a TIFF of one or several pages, or an OME-TIFF, as arrays.

    Raises:
        DataError: If the file is damaged.
    """
    with damage_reported(path), open_tiff(path) as tiff:
        if not tiff.series:
            raise DataError(Diagnostic(str(path), "the TIFF holds no image", COPY_AGAIN))
        series = tiff.series[0]
        shape = tuple(n for n in series.shape if n > 1 or len(series.shape) <= 3)

        @cache
        def stack() -> np.ndarray:
            with damage_reported(path):
                return np.asarray(series.asarray()).reshape(shape)

        attributes = {"axes": series.axes, "pages": len(tiff.pages)}
        arrays = {IMAGES: LazyArray(shape, series.dtype, lambda index: take(stack(), index), attributes)}
        metadata = read_metadata(tiff)
        if metadata.has_pixel_size:
            arrays[PIXEL_SIZE] = LazyArray.of(np.array(metadata.size[1:]), {"units": "m"})
        yield LazyArrays(path, "OME-TIFF" if tiff.is_ome else "TIFF", arrays)
