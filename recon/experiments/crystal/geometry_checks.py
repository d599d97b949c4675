"""Checks of a rocking curve's geometry: wrong units and factors show in the lengths of its vectors.

One pixel p at a distance D changes q by k p/D, a little less at oblique incidence on the detector; and q is 2k at most.
Files of binned pixels, or of idealised grids, are off by a small factor, and are accepted.
"""

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...config.advice import at_least
from ...errors import ConfigError, Diagnostic
from .schema import PATHS

_MIN_STEP, _MAX_STEP = 0.05, 5.0
"""Bounds of the step of q of one pixel, in units of k p/D."""
_TURN = 2 * np.pi
_FACTORS = {
    1e-9: "it looks like 1/nm read as 1/m; write the unit: '/path in 1/nm'",
    1e-10: "it looks like 1/Å read as 1/m; write the unit: '/path in 1/A'",
    1e9: "it looks like 1/m read as 1/nm; write the unit: '/path in 1/m'",
    1e10: "it looks like 1/m read as 1/Å; write the unit: '/path in 1/m'",
    1 / _TURN: "it looks like reciprocal lengths without 2π: multiply it by 2π",
    _TURN: "it looks like numbers with 2π twice: divide it by 2π",
    1e-3: "it looks like a pixel in mm or a distance in mm; see their units",
    1e3: "it looks like a pixel in mm or a distance in mm; see their units",
}
_RATIO_TOLERANCE = 0.1
"""Relative tolerance within which a ratio of steps is one of the factors."""
_LONG_STEP = 10.0
"""Ratio of the steps of q of frame and pixel above which the rocking angle may be in degrees, 57 to a radian."""
_SHORT_STEP = 0.01
"""Ratio of the steps of q of frame and pixel below which the circle that was scanned may not be among the readings."""
_FLATTEST = 0.02
"""Volume of the steps of q, relative to that of orthogonal ones, below which they lie in one plane: within a degree."""
_MAX_SAMPLES_PER_VOXEL = 8
"""Largest number of samples of a volume per measured voxel along an axis: finer ones are only interpolated."""


def voxel_size(basis: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> float:
    """Compute the cube root [m] of a voxel's volume, on the grid conjugate to the measured array.

    Args:
        basis: [1/m] Rows: change of q for one step of the array's axes.
        shape: Shape of the array.
    """
    return float(_TURN / np.cbrt(abs(np.linalg.det(basis)) * np.prod(shape)))


def frequency_metric(basis: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> Float[np.ndarray, "3 3"]:
    """Compute the spatial frequency of one cycle per voxel along each axis, as rows in cycles per voxel of mean size.

    Args:
        basis: [1/m] Rows: change of q for one step of the array's axes.
        shape: Shape of the array: n steps of q are one cycle per voxel.
    """
    return np.asarray(basis * np.array(shape)[:, None] * voxel_size(basis, shape) / _TURN)


def require_spacing(spacing: float | str, basis: Float[np.ndarray, "3 3"] | None, shape: tuple[int, int, int]) -> float:
    """Refuse a spacing of the result that is far finer than what was measured.

    Args:
        spacing: [m] ``volume.spacing``, or ``auto``.
        basis: [1/m] Rows: change of q for one step of the array's axes; None if unknown.
        shape: Shape of the array.

    Returns:
        Number of samples of the result per measured voxel along an axis; 1 if the result is in voxels.

    Raises:
        ConfigError: If they are too many.
    """
    if isinstance(spacing, str) or basis is None:
        return 1.0
    voxel = voxel_size(basis, shape)
    if spacing < voxel / _MAX_SAMPLES_PER_VOXEL:
        message = f"{1e9 * spacing:.3g} nm is {voxel / spacing:.3g} times finer than a voxel of {1e9 * voxel:.3g} nm"
        least = 1e9 * voxel / _MAX_SAMPLES_PER_VOXEL
        remedy = f"take {at_least(least)} nm or more; the model of a fit can be sampled finer in parts"
        raise ConfigError(Diagnostic("volume.spacing", message, remedy))
    return voxel / spacing


def geometry_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """List the faults of the geometry: a basis without volume or in a wrong unit, a Bragg vector out of reach."""
    faults = []
    if "reciprocal_basis" in acquisition:
        faults += _basis_faults(acquisition, acquisition["reciprocal_basis"])
    if "bragg_vector" in acquisition:
        faults += _bragg_faults(acquisition, float(np.linalg.norm(acquisition["bragg_vector"])))
    return faults


def plane_faults(basis: Float[np.ndarray, "3 3"], where: str) -> list[Diagnostic]:
    """List the fault of steps of q that span no volume.

    Args:
        basis: [1/m] Rows: steps of q of (frame, y, x).
        where: Place of the basis, or of the angles that it follows from, for messages.
    """
    if abs(np.linalg.det(basis)) > _FLATTEST * np.prod(np.linalg.norm(basis, axis=1)):
        return []
    message = "the rows of the reciprocal basis, the steps of q of (frame, y, x), lie in one plane, or one of them is 0"
    remedy = "see that the circle that was scanned is named, and that it moves q out of the plane of the detector"
    return [Diagnostic(where, message, remedy)]


def basis_warnings(acquisition: Acquisition) -> list[Diagnostic]:
    """Warn of a step of q per frame far longer or shorter than per pixel, as from an angle in a wrong unit."""
    if "reciprocal_basis" not in acquisition:
        return []
    frame, y, x = np.linalg.norm(acquisition["reciprocal_basis"], axis=1)
    where = acquisition.place("reciprocal_basis", PATHS)
    if frame < _SHORT_STEP * min(y, x):
        message = f"one frame changes q by {frame:.3g} 1/m, {frame / min(y, x):.2g} times as much as a pixel"
        return [Diagnostic(where, message, "check the unit of the circle that was scanned, and that it is named")]
    if not frame > _LONG_STEP * max(y, x):
        return []
    message = f"one frame changes q by {frame:.3g} 1/m, {frame / max(y, x):.0f} times as much as a pixel"
    remedy = "it looks like a rocking angle in degrees taken for radians: divide the first row by 57.3"
    return [Diagnostic(where, message, remedy)]


def _basis_faults(acquisition: Acquisition, basis: Float[np.ndarray, "3 3"]) -> list[Diagnostic]:
    lengths = np.linalg.norm(basis, axis=1)
    where = acquisition.place("reciprocal_basis", PATHS)
    if faults := plane_faults(basis, where):
        return faults
    if lengths.max() < 1.0:
        message = f"a step of {lengths.max():g} 1/m is no step of a rocking curve"
        return [Diagnostic(where, message, _unit_remedy(acquisition, "reciprocal_basis"))]
    expected = _pixel_step(acquisition)
    if expected is None:
        return []
    ratios = lengths[1:] / expected
    has_wrong_2pi = any(np.allclose(ratios, factor, rtol=_RATIO_TOLERANCE, atol=0) for factor in (_TURN, 1 / _TURN))
    if not has_wrong_2pi and (ratios > _MIN_STEP).all() and (ratios < _MAX_STEP).all():
        return []
    axis = int(np.argmax(np.abs(np.log(ratios))))
    message = (
        f"one pixel along {'yx'[axis]} changes q by {lengths[1 + axis]:.3g} 1/m; wavelength, distance and pixel make "
        f"it {expected[axis]:.3g} 1/m"
    )
    remedy = _explain_ratio(float(ratios[axis]))
    path = where.rpartition(":/")[2] if ":/" in where else ""
    return [Diagnostic(where, message, remedy.replace("'/path", f"acquisition.reciprocal_basis: '/{path}"))]


def _bragg_faults(acquisition: Acquisition, length: float) -> list[Diagnostic]:
    where = acquisition.place("bragg_vector", PATHS)
    if not 1e8 < length < 1e12:
        message = f"|G| = {length:g} 1/m is no reflection of a crystal"
        return [Diagnostic(where, message, f"it holds 2π; {_unit_remedy(acquisition, 'bragg_vector')}")]
    if "wavelength" not in acquisition:
        return []
    longest = 4 * np.pi / float(acquisition["wavelength"])
    if length <= (1 + _RATIO_TOLERANCE) * longest:
        return []
    message = f"|G| = {length:.4g} 1/m is beyond 4π/λ = {longest:.4g} 1/m, the longest q of these X-rays"
    return [Diagnostic(where, message, "check its unit, that it holds 2π once, and the wavelength")]


def _unit_remedy(acquisition: Acquisition, name: str) -> str:
    """Suggest the unit of numbers that are not in 1/m."""
    units = [acquisition.in_unit(name, 1.0, unit) for unit in ("1/nm", "1/A")]
    if not units[0].startswith("'"):
        return "write it in 1/m, or with its unit: 1/Å is 1e10 1/m"
    return f"write it in 1/m, or name its unit: acquisition.{name}: {units[0]}, or {units[1]}"


def _pixel_step(acquisition: Acquisition) -> Float[np.ndarray, " 2"] | None:
    """Compute k p/D [1/m] along (y, x); None if a length is unknown."""
    if any(name not in acquisition for name in ("wavelength", "detector_distance", "pixel_size")):
        return None
    k = 2 * np.pi / float(acquisition["wavelength"])
    step: np.ndarray = k * np.broadcast_to(acquisition["pixel_size"], 2) / float(acquisition["detector_distance"])
    return step


def _explain_ratio(ratio: float) -> str:
    """Suggest the cause of a step that is longer or shorter by a ratio."""
    near = min(_FACTORS, key=lambda factor: abs(np.log(ratio / factor)))
    if abs(np.log(ratio / near)) > 3 * _RATIO_TOLERANCE:
        return "check its unit, and those of wavelength, distance and pixel"
    return _FACTORS[near]
