"""Measurements in CXI: HDF5 with agreed names, which some writers use differently.

The arrays of an acquisition are presented at the paths of our own files as well, in SI. CXI prescribes joules and
metres; many writers put electronvolts or kiloelectronvolts, and give the pixel's size along one axis only. Both raise
an error that names the line of config to add; neither is guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.advice import exact
from ..config.photon_energy import PLANCK_TIMES_LIGHT
from ..config.units import conversion_factor, si_factor
from ..errors import DataError, Diagnostic
from .hdf5 import ConventionTree
from .lazy_arrays import IMAGES, PIXEL_SIZE, LazyArray

_LARGEST_PHOTON_ENERGY = 1e-12
"""[J] Six MeV."""
_ELECTRON_ENERGIES = (5e-11, 5e-9)
"""[J] Energies of electrons in storage rings: 0.3 to 30 GeV."""
_HAS_SIGNAL = 0x1000
_DETECTOR = ("/entry_1/instrument_1/detector_1", "/entry_1/data_1", "/entry_1/image_1")
_SOURCE = ("/entry_1/instrument_1/source_1", "/entry_1/instrument_1/beam_1", "/entry_1/sample_1/beam_1")


def is_cxi(file: Any) -> bool:
    """Whether an open HDF5 file follows CXI."""
    return "cxi_version" in file or "cxi_version" in file.attrs or "entry_1/instrument_1" in file


@dataclass
class CxiArrayTree(ConventionTree):
    """Open CXI file: an `ArrayTree`."""

    form: str = "CXI"

    def array(self, name: str) -> LazyArray | None:
        """Return a dataset by its own path, or by the path that our files have for its role."""
        stored = self.plain.array(name)
        if stored is not None:
            return _without_signal_bit(stored) if name.endswith("/mask") else stored
        roles: dict[str, Callable[[], LazyArray | None]] = {
            IMAGES: lambda: self._first(*(f"{group}/data" for group in _DETECTOR)),
            "/measurement/mask": self._mask,
            PIXEL_SIZE: self._pixel_size,
            "/instrument/wavelength": self._wavelength,
            "/instrument/detector_distance": lambda: self._first(f"{_DETECTOR[0]}/distance"),
        }
        return roles[name]() if name in roles else None

    def _first(self, *names: str) -> LazyArray | None:
        return next((array for name in names if (array := self.plain.array(name)) is not None), None)

    def _mask(self) -> LazyArray | None:
        mask = self._first(*(f"{group}/mask" for group in _DETECTOR))
        return None if mask is None else _without_signal_bit(mask)

    def _pixel_size(self) -> LazyArray | None:
        places = {axis: f"{_DETECTOR[0]}/{axis}_pixel_size" for axis in "yx"}
        stored = {axis: self.plain.array(name) for axis, name in places.items()}
        sizes = {
            axis: _metres(array, f"{self.path}:{places[axis]}") for axis, array in stored.items() if array is not None
        }
        if not sizes:
            return None
        if len(sizes) == 1:
            axis, size = next(iter(sizes.items()))
            message = f"the file gives the pixel's size along {axis} only, {size:g} m"
            remedy = f"if pixels are square, set acquisition.pixel_size: [{exact(size)}, {exact(size)}]"
            raise DataError(Diagnostic(f"{self.path}:{places[axis]}", message, remedy))
        return LazyArray.of(np.array([sizes["y"], sizes["x"]]), {"units": "m"})

    def _wavelength(self) -> LazyArray | None:
        wavelength = self._first(
            *(f"{group}/{name}" for group in _SOURCE for name in ("wavelength", "incident_wavelength"))
        )
        if wavelength is not None:
            return wavelength
        for name in (f"{group}/{energy}" for group in _SOURCE for energy in ("energy", "incident_energy")):
            energy = self.plain.array(name)
            if energy is not None:
                unit = str(energy.attributes.get("units", ""))
                joules = _photon_energy(float(np.ravel(energy.read())[0]), unit, f"{self.path}:{name}")
                return LazyArray.of(np.array(PLANCK_TIMES_LIGHT / joules), {"units": "m"})
        return None


def _without_signal_bit(mask: LazyArray) -> LazyArray:
    """Clear the bit that means "has signal": such a pixel is good."""
    if mask.dtype.kind not in "iu" or mask.dtype.itemsize < 2:
        return mask
    return LazyArray(
        mask.shape, mask.dtype, lambda index: mask.fetch(index) & ~mask.dtype.type(_HAS_SIGNAL), mask.attributes
    )


def _metres(array: LazyArray, place: str) -> float:
    """Read a length, in metres if the file names no other unit.

    Raises:
        DataError: If its unit is none of length.
    """
    unit = str(array.attributes.get("units", "") or "m")
    try:
        return float(np.ravel(array.read())[0]) * conversion_factor(unit, "m")
    except ValueError as error:
        remedy = "set acquisition.pixel_size with its unit, e.g. 55 um"
        raise DataError(Diagnostic(place, str(error), remedy)) from error


def _photon_energy(energy: float, unit: str, place: str) -> float:
    """Return a photon's energy [J], and refuse one that cannot be in joules.

    Args:
        energy: Number in the file.
        unit: Unit in the file; empty for CXI's rule, joules.
        place: Place of the number, for messages.

    Raises:
        DataError: If the number is no photon energy in joules, with the wavelength that it would give in eV or keV.
    """
    try:
        joules = energy * conversion_factor(unit, "J") if unit else energy
    except ValueError:
        joules = energy
    if 0 < joules < _LARGEST_PHOTON_ENERGY:
        return joules
    if _ELECTRON_ENERGIES[0] < joules < _ELECTRON_ENERGIES[1]:
        message = f"the energy {joules:g} J ({joules / si_factor('eV') * 1e-9:.3g} GeV) is that of a ring's electrons"
        raise DataError(Diagnostic(place, message, "set acquisition.wavelength: … nm, that of the photons"))
    if energy > 0:
        guess = "keV" if energy < 200 else "eV"
        message = f"the energy {energy:g} is no number of joules, which CXI wants; it looks like {guess}"
        raise DataError(Diagnostic(place, message, f"if so, set acquisition.wavelength: {exact(energy)} {guess}"))
    raise DataError(Diagnostic(place, f"the energy {energy:g} is not positive", "set acquisition.wavelength: … nm"))
