"""CXI files: HDF5 with agreed names, and with disagreements that are found in the wild.

What an acquisition needs is presented at the paths of our own files as well, in SI. CXI wants joules and metres; many
writers put electronvolts or kiloelectronvolts, and give the pixel's size along one axis only: both are named as faults
with the line of config that mends them, never guessed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .file_units import factor
from .hdf5 import Hdf5ArrayTree
from .lazy_arrays import IMAGES, PIXEL_SIZE, LazyArray

PLANCK_TIMES_LIGHT = 1.98644586e-25
"""h c [J m]."""
_ELECTRONVOLT = 1.602176634e-19
_ELECTRONS = (5e-11, 5e-9)
"""[J] Energies of electrons in storage rings: 0.3 to 30 GeV."""
_HAS_SIGNAL = 0x1000
_DETECTOR = ("/entry_1/instrument_1/detector_1", "/entry_1/data_1", "/entry_1/image_1")
_SOURCE = ("/entry_1/instrument_1/source_1", "/entry_1/instrument_1/beam_1", "/entry_1/sample_1/beam_1")


def is_cxi(file: Any) -> bool:
    """Tell whether an open HDF5 file follows CXI."""
    return "cxi_version" in file or "cxi_version" in file.attrs or "entry_1/instrument_1" in file


@dataclass(frozen=True)
class CxiArrayTree:
    """A CXI file, open for reading."""

    path: Path
    file: Any
    form: str = "CXI"

    @property
    def plain(self) -> Hdf5ArrayTree:
        """The same file without CXI's meaning."""
        return Hdf5ArrayTree(self.path, self.file)

    def names(self) -> list[str]:
        """Paths of all datasets."""
        return self.plain.names()

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """The attributes of a group or dataset; None if there is no such object."""
        return self.plain.attributes(name)

    def leaf(self, name: str) -> LazyArray | None:
        """A dataset by its own path, or by the path that our files have for what it means."""
        found = self.plain.leaf(name)
        if found is not None:
            return _good_is_zero(found) if name.endswith("/mask") else found
        meaning: dict[str, Callable[[], LazyArray | None]] = {
            IMAGES: lambda: self._first(*(f"{group}/data" for group in _DETECTOR)),
            "/measurement/mask": self._mask,
            PIXEL_SIZE: self._pixel_size,
            "/instrument/wavelength": self._wavelength,
            "/instrument/detector_distance": lambda: self._first(f"{_DETECTOR[0]}/distance"),
        }
        return meaning[name]() if name in meaning else None

    def _first(self, *names: str) -> LazyArray | None:
        return next((leaf for name in names if (leaf := self.plain.leaf(name)) is not None), None)

    def _mask(self) -> LazyArray | None:
        found = self._first(*(f"{group}/mask" for group in _DETECTOR))
        return None if found is None else _good_is_zero(found)

    def _pixel_size(self) -> LazyArray | None:
        sizes = {axis: self.plain.leaf(f"{_DETECTOR[0]}/{axis}_pixel_size") for axis in "yx"}
        given = {
            axis: _metres(leaf, f"{self.path}:{_DETECTOR[0]}/{axis}_pixel_size")
            for axis, leaf in sizes.items()
            if leaf is not None
        }
        if not given:
            return None
        if len(given) == 1:
            axis, size = next(iter(given.items()))
            where = f"{self.path}:{_DETECTOR[0]}/{axis}_pixel_size"
            remedy = f"if pixels are square, say acquisition.pixel_size: [{size:g}, {size:g}]"
            raise DataError(Diagnostic(where, f"the file gives the pixel's size along {axis} only, {size:g} m", remedy))
        return LazyArray.of(np.array([given["y"], given["x"]]), {"units": "m"})

    def _wavelength(self) -> LazyArray | None:
        wavelength = self._first(
            *(f"{group}/{name}" for group in _SOURCE for name in ("wavelength", "incident_wavelength"))
        )
        if wavelength is not None:
            return wavelength
        for name in (f"{group}/{energy}" for group in _SOURCE for energy in ("energy", "incident_energy")):
            leaf = self.plain.leaf(name)
            if leaf is not None:
                joules = _joules(
                    float(np.ravel(leaf.read())[0]), str(leaf.attributes.get("units", "")), f"{self.path}:{name}"
                )
                return LazyArray.of(np.array(PLANCK_TIMES_LIGHT / joules), {"units": "m"})
        return None


def _good_is_zero(mask: LazyArray) -> LazyArray:
    """Clear the bit that says "has signal": it is no fault of the pixel."""
    if mask.dtype.kind not in "iu" or mask.dtype.itemsize < 2:
        return mask
    return LazyArray(
        mask.shape, mask.dtype, lambda index: mask.fetch(index) & ~mask.dtype.type(_HAS_SIGNAL), mask.attributes
    )


def _metres(leaf: LazyArray, where: str) -> float:
    """Read a length, in metres where the file names no other unit.

    Raises:
        DataError: If its unit is none of length.
    """
    unit = str(leaf.attributes.get("units", "") or "m")
    try:
        return float(np.ravel(leaf.read())[0]) * factor(unit, "m")
    except ValueError as error:
        raise DataError(
            Diagnostic(where, str(error), "say acquisition.pixel_size with its unit, e.g. 55 um")
        ) from error


def _joules(energy: float, unit: str, where: str) -> float:
    """Read a photon's energy, and refuse one that cannot be in joules.

    Args:
        energy: As the file has it.
        unit: As the file has it; empty for CXI's rule, joules.
        where: For the message.

    Raises:
        DataError: If the number is no energy in joules, with the wavelength that it means otherwise.
    """
    known = {"ev": _ELECTRONVOLT, "kev": 1e3 * _ELECTRONVOLT, "j": 1.0, "joule": 1.0, "joules": 1.0, "": 1.0}
    joules = energy * known.get(unit.lower(), 1.0)
    if 0 < joules < 1e-12:  # Ten MeV.
        return joules
    if _ELECTRONS[0] < joules < _ELECTRONS[1]:
        message = f"the energy {joules:g} J ({joules / _ELECTRONVOLT * 1e-9:.3g} GeV) is that of a ring's electrons"
        raise DataError(Diagnostic(where, message, "say acquisition.wavelength: … nm, that of the photons"))
    if energy > 0:
        guess, scale = ("keV", 1e3) if energy < 200 else ("eV", 1.0)
        wavelength = PLANCK_TIMES_LIGHT / (energy * scale * _ELECTRONVOLT)
        message = f"the energy {energy:g} is no number of joules, which CXI wants; it looks like {guess}"
        raise DataError(Diagnostic(where, message, f"if so, say acquisition.wavelength: {wavelength * 1e9:.6g} nm"))
    raise DataError(Diagnostic(where, f"the energy {energy:g} is not positive", "say acquisition.wavelength: … nm"))
