"""Image files of sections: TIFF, PNG, JPEG, BMP and NumPy arrays, of which one channel and one plane is the section."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...errors import DataError, Diagnostic
from ...io.colours import COLOURS, without_alpha
from ...io.image_axes import ImageChoice, drop_single, take_image
from ...io.image_stack import open_images
from ...io.lazy_arrays import LazyArray
from ...io.picture import picture_array
from .config import ShapeAcquisition

_ALPHA = 4
"""Number of samples of a pixel whose last is its transparency."""
_ALIKE = "in colour, of which all channels are alike: taken as grey"
_PICKLED = "an array of Python objects, which could run code when it is opened"


@dataclass(frozen=True)
class FolderImage:
    """Image or volume as it is stored in its file.

    Args:
        values: Image (y, x), or volume (z, y, x), of any type of number.
        voxel: [m] Size of a voxel (z, y, x), with NaN for an unknown z; empty if all are unknown.
        remarks: Sentences on parts of the file that are left out, and on assumptions.
    """

    values: np.ndarray
    voxel: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()


def decode_image(data: bytes, extension: str, place: str, part: str, settings: ShapeAcquisition) -> FolderImage:
    """Read one image or volume from the bytes of its file.

    Args:
        data: Contents of the file.
        extension: Extension of its name, in lower case.
        place: Place of the file, for messages.
        part: ``image``, ``mask`` or ``obj``.
        settings: Section of the config, which chooses channel, plane, position and time.

    Raises:
        DataError: If it holds several images, and none is chosen.
        ValueError: If it is damaged; decoders raise other exceptions as well.
    """
    if extension == ".npy":
        return _reduce(_decode_npy(data, place), place, part, settings)
    if extension in (".tif", ".tiff"):
        with open_images(io.BytesIO(data), place) as (array, metadata):
            image = _reduce(array, place, part, settings)
        return replace(image, voxel=metadata.size if metadata.has_pixel_size else ())
    return _reduce(_decode_picture(data, place, is_mask=part == "mask"), place, part, settings)


def _decode_npy(data: bytes, place: str) -> LazyArray:
    """Load a NumPy array.

    Raises:
        DataError: If it holds Python objects.
    """
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise
        remedy = "save its numbers alone: np.save(path, array), or as TIFF"
        raise DataError(Diagnostic(place, f"holds {_PICKLED}", remedy)) from error
    if values.ndim == 3 and values.shape[2] in (3, _ALPHA) and min(values.shape[:2]) > _ALPHA:
        return _coloured(values)
    names = {2: ("y", "x"), 3: ("plane", "y", "x"), 4: ("channel", "plane", "y", "x")}
    return replace(LazyArray.of(values), axes=names.get(values.ndim, ()))


def _coloured(values: np.ndarray) -> LazyArray:
    """Name the axes of a picture in colour, without its transparency."""
    array = LazyArray.of(values[..., :3])
    return replace(array, axes=("y", "x", "channel"), labels={"channel": COLOURS})


def _decode_picture(data: bytes, place: str, *, is_mask: bool) -> LazyArray:
    """Decode a PNG, JPEG, BMP or GIF.

    Pixels with a palette of colours are numbers in a mask, one for each label, and colours in an image.
    """
    array = picture_array(data, place)
    last = array.labels.get("channel", ())[-1:]
    array = without_alpha(array) if last == ("alpha",) else array
    if "channel" not in array.axes:
        return array
    values = array.read()
    is_grey = bool((values[..., :3] == values[..., :1]).all())
    if last == ("index",) and is_mask and not is_grey:
        return array.at(2, len(COLOURS))
    if not _is_coloured(array):  # Inks: one of them is chosen.
        return array
    if is_grey:
        return replace(array.at(2, 0), remarks=(*array.remarks, _ALIKE))
    return replace(_coloured(values), remarks=array.remarks)


def _reduce(array: LazyArray, place: str, part: str, settings: ShapeAcquisition) -> FolderImage:
    """Take the image (y, x) of a section, or the volume (z, y, x), from an array with any axes.

    Raises:
        DataError: If channels, planes, positions or times remain of which none is chosen.
    """
    if not {"y", "x"} <= set(array.axes):
        message = f"has the shape {array.shape}; expected an image (y, x), or a volume (z, y, x)"
        raise DataError(Diagnostic(place, message, "save one section a file"))
    array = drop_single(array)
    if "view" in array.axes and "plane" not in array.axes:  # Pages without a name.
        array = replace(array, axes=tuple("plane" if axis == "view" else axis for axis in array.axes))
    if part == "obj":
        array = _grey(array, place, settings) if _is_coloured(array) else array
        return FolderImage(take_image(array, ImageChoice(), part, place).read(), (), array.remarks)
    choice = settings.choice
    if part == "mask":  # It has one channel where the image has several, and often one plane.
        choice = ImageChoice(**{axis: choice.of(axis) for axis in choice.given if axis in array.axes})
    if _is_coloured(array) and (part == "mask" or choice.channel is None):
        array = _grey(array, place, settings, is_mask=part == "mask")
        choice = replace(choice, channel=None)
    return FolderImage(take_image(array, choice, part, place, stack=False).read(), (), array.remarks)


def _is_coloured(array: LazyArray) -> bool:
    return "channel" in array.axes and array.labels.get("channel", ())[: len(COLOURS)] == COLOURS


def _grey(array: LazyArray, place: str, settings: ShapeAcquisition, *, is_mask: bool = False) -> LazyArray:
    """Return the mean of the colours where ``acquisition.colour`` allows it; of a mask in one colour that colour.

    Raises:
        DataError: If no mean is asked for.
    """
    axis = array.axes.index("channel")
    colours = array.read()
    shape = colours.shape
    colours = np.moveaxis(colours, axis, -1)[..., : len(COLOURS)]
    axes = tuple(name for name in array.axes if name != "channel")
    labels: Mapping[str, tuple[str, ...]] = {k: v for k, v in array.labels.items() if k != "channel"}
    if (colours == colours[..., :1]).all():
        return replace(LazyArray.of(colours[..., 0]), axes=axes, labels=labels)
    if is_mask and (single := _single_colour(colours)) is not None:
        return replace(LazyArray.of(single), axes=axes, labels=labels)
    if settings.colour == "refuse":
        remedy = "choose acquisition.channel: red, green or blue, or set acquisition.colour: mean"
        if is_mask:
            remedy = "save the numbers of the cells as grey values of 8 or 16 bit, 0 outside"
        raise DataError(Diagnostic(place, f"is in colour: its shape is {shape}", remedy))
    mean = colours.mean(axis=-1)  # In the data type of the colours: whole numbers stay whole.
    mean = (mean.round() if colours.dtype.kind in "iu" else mean).astype(colours.dtype)
    remarks = (*array.remarks, "in colour; the mean of its colours is taken")
    return replace(LazyArray.of(mean), axes=axes, labels=labels, remarks=remarks)


def _single_colour(colours: np.ndarray) -> np.ndarray | None:
    """Return the brightest colour of a mask whose pixels are black or of one hue; None for any other."""
    bright = colours.max(axis=-1)
    lit = colours[bright > 0]
    if not lit.size or len(np.unique(lit, axis=0)) > 1:
        return None
    return np.asarray(bright)
