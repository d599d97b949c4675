"""Measurements in NeXus, and in the layouts of Dectris and BLISS, which follow it, without a config that names them.

The arrays of an acquisition are presented at the paths of our own files, with the place that they come from:

| array          | place in the entry                                                                       |
|----------------|------------------------------------------------------------------------------------------|
| images         | signal of the default NXdata; parts ``data/data_000001`` …; the only stack of images     |
| mask           | ``pixel_mask`` of the detector, or below its ``detectorSpecific``: 0 is good              |
| monitor        | ``count_time`` of the detector, where it changes from frame to frame                     |
| pixel size     | ``y_pixel_size``, ``x_pixel_size`` of the detector                                       |
| distance       | ``distance`` or ``detector_distance`` of the detector                                    |
| direct beam    | ``beam_center_y``, ``beam_center_x`` of the detector                                     |
| saturation     | ``saturation_value`` of the detector, the largest valid count                            |
| cutoff         | ``countrate_correction_count_cutoff`` of a Dectris detector: counts are cut off there     |
| underload      | ``underload_value`` of the detector, the least valid count                               |
| wavelength     | ``incident_wavelength`` … or the energy of the beam, the monochromator, the detector     |
| circles        | ``instrument/positioners``, ``sample/goniometer``, ``measurement``                       |

A file of several entries, the scans of BLISS, is asked for one by its images: ``acquisition.images: /2.1``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import h5py
import numpy as np

from ..config.photon_energy import is_energy
from ..config.units import conversion_factor
from ..errors import DataError, Diagnostic
from .hdf5 import ConventionTree, plain_attributes
from .lazy_arrays import COUNT_CUTOFF, IMAGES, PIXEL_SIZE, SATURATION_VALUE, UNDERLOAD_VALUE, LazyArray
from .patterns import join_parts, numbered_parts

_DECTRIS = re.compile(r"/data_\d{6}$")
_GONIOMETER = "/instrument/goniometer/"
_MOST_NAMED = 8
_LEAST_PIXELS = 8
"""Least number of pixels along both axes of an image."""
_SATURATIONS = ("saturation_value", "detectorSpecific/saturation_value")
_CUTOFFS = ("detectorSpecific/countrate_correction_count_cutoff", "countrate_correction_count_cutoff")
_UNDERLOADS = ("underload_value", "detectorSpecific/underload_value")
_BEAMS = ("instrument/beam", "sample/beam", "beam", "instrument/monochromator", "instrument/Monochromator")
_WAVES = ("incident_wavelength", "wavelength", "incident_energy", "energy")
_ENERGIES = ("mononrj", "energy", "nrj")
"""Motors of an energy, among the positioners."""


@dataclass
class NexusArrayTree(ConventionTree):
    """Open HDF5 file whose arrays are found by the conventions of NeXus as well: an `ArrayTree`."""

    def __post_init__(self) -> None:
        self._entry = ""

    def array(self, name: str) -> LazyArray | None:
        """Return a dataset by its own path, the images of a group, or an array by the path that our files have for it.

        The entry of the first images that are asked for is that of all other arrays.
        """
        stored = self.plain.array(name)
        if stored is not None:
            entry = f"/{name.strip('/').split('/')[0]}"
            if len(stored.shape) >= 3 and isinstance(_get(self.file, entry), h5py.Group):
                self._entry = self._entry or entry
                return self._with_underload(stored)
            return stored
        if isinstance(_get(self.file, name), h5py.Group) and name != "/":
            return self._images_of_group(name)
        return self._role(name)

    def _role(self, name: str) -> LazyArray | None:
        if name == IMAGES:
            return self._images()
        if not self.entry:
            return None
        if name.startswith(_GONIOMETER) and name != f"{_GONIOMETER}direct_beam":
            return self._circle(name.removeprefix(_GONIOMETER))
        roles = {
            "/measurement/mask": lambda: self._of_detector("pixel_mask", "detectorSpecific/pixel_mask"),
            "/measurement/monitor": self._monitor,
            "/instrument/detector_distance": lambda: self._of_detector("distance", "detector_distance"),
            "/instrument/wavelength": self._wavelength,
            SATURATION_VALUE: lambda: self._limit(_SATURATIONS, min),
            COUNT_CUTOFF: lambda: self._limit(_CUTOFFS, min),
            UNDERLOAD_VALUE: lambda: self._limit(_UNDERLOADS, max),
            PIXEL_SIZE: lambda: self._pair("y_pixel_size", "x_pixel_size"),
            f"{_GONIOMETER}direct_beam": self._direct_beam,
        }
        return roles[name]() if name in roles else None

    # The entry and its images

    @property
    def entry(self) -> str:
        """Path of the entry whose arrays are presented; empty if the file has none, or several with images."""
        if not self._entry:
            entries = self._entries()
            with_images = entries if len(entries) == 1 else self._with_images(entries)
            self._entry = with_images[0] if len(with_images) == 1 else ""
        return self._entry

    def _entries(self) -> list[str]:
        """List the groups at the root that are entries by their class, their name, or their content."""
        names = []
        for name in self.file:
            group = _get(self.file, name)
            if isinstance(group, h5py.Group) and (
                _class(group) == "NXentry" or name.startswith("entry") or {"instrument", "measurement"} & set(group)
            ):
                names.append(f"/{name}")
        return [] if names in (["/measurement"], ["/instrument"]) else names

    def _with_images(self, entries: list[str]) -> list[str]:
        """List the first entries that have images, a few more than are named in a message."""
        return list(islice((name for name in entries if self._stacks(name)), _MOST_NAMED + 1))

    def _images(self) -> LazyArray | None:
        """Return the images of the only entry that has any.

        Raises:
            DataError: If several have images, or one has several stacks.
        """
        if self._entry:
            return self._images_of_group(self._entry)
        entries = self._with_images(self._entries())
        if len(entries) > 1:
            shown = [f"{name} {self._shape(self._stacks(name)[0])}" for name in entries[:_MOST_NAMED]]
            more = ", …" if len(entries) > _MOST_NAMED else ""
            message = f"holds several scans with images: {', '.join(shown)}{more}"
            raise DataError(Diagnostic(str(self.path), message, f"choose one: acquisition.images: {entries[0]}"))
        return self._images_of_group(entries[0]) if entries else None

    def _images_of_group(self, name: str) -> LazyArray | None:
        """Return the images in a group; None if it has none.

        Raises:
            DataError: If it has several stacks of images, and none is its signal.
        """
        stacks = self._stacks(name)
        if not stacks:
            return None
        if len(stacks) > 1:
            shown = ", ".join(f"{stack} {self._shape(stack)}" for stack in stacks[:_MOST_NAMED])
            message = f"holds several stacks of images: {shown}"
            raise DataError(Diagnostic(f"{self.path}:{name}", message, f"name one: acquisition.images: {stacks[0]}"))
        self._entry = self._entry or f"/{name.strip('/').split('/')[0]}"
        parts = numbered_parts(self.plain, stacks[0])
        if parts:
            return self._with_underload(join_parts(self.plain, parts, 3))
        array = self.plain.array(stacks[0])
        return None if array is None else self._with_underload(replace(array, origin=stacks[0]))

    def _stacks(self, name: str) -> list[str]:
        """List the stacks of images in a group: its signal alone, if it is one; of a scan in parts the first."""
        group = self.file[name]
        signal = _signal(group)
        if signal:
            return [signal]
        below = [path for path in self.names() if path.startswith(f"{name}/") and _DECTRIS.search(path)]
        if below:  # Also links whose file is missing: it is named when they are read.
            return [min(below)]
        stacks: dict[Any, str] = {}
        for path, dataset in _datasets(group):
            if _is_stack(dataset):
                parts = numbered_parts(self.plain, path)
                stacks.setdefault(parts[0] if parts else _identity(dataset), parts[0] if parts else path)
        return list(stacks.values())

    def _shape(self, name: str) -> str:
        parts = numbered_parts(self.plain, name)
        return f"({len(parts)} parts)" if parts else str(self.file[name].shape)

    # The detector and the beam

    @cached_property
    def _detector(self) -> str:
        """Path of the detector that took the images; empty if it is not known."""
        stacks = {_identity(self.file[name]) for name in self._stacks(self.entry)}
        groups = [
            (f"{self.entry}/{path}", group)
            for path, group in _groups(self.file[self.entry])
            if _class(group) == "NXdetector" or path.endswith("instrument/detector")
        ]
        own = [path for path, group in groups if stacks & {_identity(d) for _, d in _datasets(group, depth=1)}]
        described = [path for path, group in groups if {"x_pixel_size", "distance", "beam_center_x"} & set(group)]
        return next((paths[0] for paths in (own, described, [path for path, _ in groups]) if len(paths) == 1), "")

    def _at(self, *paths: str) -> LazyArray | None:
        """Return the first array that is there, with its place."""
        for path in paths:
            if isinstance(_get(self.file, path), h5py.Dataset):
                array = self.plain.array(path)
                if array is not None and array.dtype.kind in "iufb" and 0 not in array.shape:
                    return replace(array, origin=path)
        return None

    def _of_detector(self, *names: str) -> LazyArray | None:
        return self._at(*(f"{self._detector}/{name}" for name in names)) if self._detector else None

    def _pair(self, first: str, second: str) -> LazyArray | None:
        """Return two numbers of the detector in one row."""
        pair = [self._of_detector(name) for name in (first, second)]
        one, other = pair
        if one is None or other is None:
            return None
        units = [str(each.attributes.get("units", "")) for each in (one, other)]
        if units[0] != units[1]:
            message = f"is in {units[0] or 'no unit'}, and {second} in {units[1] or 'no unit'}"
            raise DataError(Diagnostic(f"{self.path}:{one.origin}", message, "name both numbers in the config"))
        values = np.array([float(np.ravel(each.read())[0]) for each in (one, other)])
        return LazyArray.of(values, {"units": units[0]} if units[0] else {}, origin=f"{one.origin}, {second}")

    def _direct_beam(self) -> LazyArray | None:
        """Return the pixel of the direct beam; None where it was never set.

        Raises:
            DataError: If it is neither in pixels nor a length.
        """
        centre = self._pair("beam_center_y", "beam_center_x")
        if centre is None or not centre.read().any():
            return None
        unit = str(centre.attributes.get("units", "pixel"))
        if unit.lower().startswith(("pix", "px")) or unit in ("", "1"):
            return replace(centre, attributes={})
        pixel = self._role(PIXEL_SIZE)
        try:
            if pixel is None:
                raise ValueError(f"its unit {unit!r} is no pixel")
            size = pixel.read() * conversion_factor(str(pixel.attributes.get("units", "m")), "m")
            return LazyArray.of(centre.read() * conversion_factor(unit, "m") / size, origin=centre.origin)
        except ValueError as error:
            remedy = "set acquisition.goniometer.direct_beam: [y, x]"
            raise DataError(Diagnostic(f"{self.path}:{centre.origin}", str(error), remedy)) from error

    def _limit(self, names: tuple[str, ...], strictest: Callable[..., float]) -> LazyArray | None:
        """Return a limit of the counts, of several numbers the strictest; None where it was never set."""
        array = self._of_detector(*names)
        if array is None:
            return None
        limits = np.ravel(array.read()).astype(float)
        limits = limits[np.isfinite(limits) & ((limits > 0) | (names == _UNDERLOADS))]
        return LazyArray.of(np.array(strictest(limits.tolist())), origin=array.origin) if limits.size else None

    def _with_underload(self, images: LazyArray) -> LazyArray:
        """Add the least valid count of the detector to images that may hold smaller numbers."""
        limit = self._role(UNDERLOAD_VALUE)
        if limit is None or (images.dtype.kind in "ub" and limit.read() <= 0):
            return images
        return replace(images, least=float(limit.read()))

    def _monitor(self) -> LazyArray | None:
        """Return the exposure time of each frame, where it changes."""
        times = self._of_detector("count_time")
        if times is None or times.size < 2 or not np.ptp(times.read()) > 0:
            return None
        return times

    def _wavelength(self) -> LazyArray | None:
        wave = self._at(*(f"{self.entry}/{beam}/{name}" for beam in _BEAMS for name in _WAVES))
        if wave is not None:
            return wave
        for path in (f"{self.entry}/instrument/positioners/{name}" for name in _ENERGIES):
            energy = self._at(path)
            if energy is not None and is_energy(str(energy.attributes.get("units", ""))):
                return energy
        return self._of_detector("detectorSpecific/photon_energy", "photon_energy")

    def _circle(self, name: str) -> LazyArray | None:
        places = ("instrument/positioners", "sample/goniometer", "sample/transformations", "measurement")
        return self._at(*(f"{self.entry}/{place}/{name}" for place in places), f"{self.entry}/instrument/{name}/value")


def _get(file: Any, name: str) -> Any:
    """Return the object of a name; None if there is none, or it cannot be opened."""
    try:
        return file[name]
    except (KeyError, ValueError, OSError):
        return None


def _class(group: Any) -> str:
    return str(plain_attributes(group).get("NX_class", ""))


def _identity(dataset: Any) -> tuple[int, int]:
    """Return what two links to one dataset have in common."""
    info = h5py.h5o.get_info(dataset.id)
    return int(info.fileno), int(info.addr)


def _is_stack(dataset: Any) -> bool:
    """Whether a dataset may be a stack of images."""
    shape = tuple(n for n in dataset.shape or () if n != 1) if len(dataset.shape or ()) > 3 else dataset.shape or ()
    return len(shape) == 3 and min(shape[1:]) >= _LEAST_PIXELS and dataset.dtype.kind in "iuf"


def _signal(group: Any) -> str:
    """Return the path of the stack of images that the default attributes lead to; empty if they lead to none."""
    for _ in range(4):
        attributes = plain_attributes(group)
        signal = attributes.get("signal")
        dataset = _get(group, signal) if isinstance(signal, str) and signal else None
        if isinstance(dataset, h5py.Dataset):
            return f"{group.name.rstrip('/')}/{signal}" if _is_stack(dataset) else ""
        following = attributes.get("default")
        group = _get(group, following) if isinstance(following, str) and following else None
        if not isinstance(group, h5py.Group):
            return ""
    return ""


def _groups(group: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Yield the groups below a group with their paths in it."""
    for name in group if depth else ():
        child = _get(group, name)
        if isinstance(child, h5py.Group):
            yield name, child
            yield from ((f"{name}/{path}", below) for path, below in _groups(child, depth - 1))


def _datasets(group: Any, depth: int = 5) -> Iterator[tuple[str, Any]]:
    """Yield the datasets below a group with their absolute paths."""
    for name in group if depth else ():
        child = _get(group, name)
        path = f"{group.name.rstrip('/')}/{name}"
        if isinstance(child, h5py.Dataset):
            yield path, child
        elif isinstance(child, h5py.Group):
            yield from _datasets(child, depth - 1)
