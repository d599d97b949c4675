"""Light of a condenser in each view: sources spread over its aperture, and those that shine."""

from collections.abc import Mapping

import numpy as np

from ....physics.optics.condenser import condenser_sources, half_of, source_count
from ...errors import Diagnostic
from .config_illumination import Condenser
from .schema import PLANE_Z_ENTRY

_FOUR_HALVES = (0.0, np.pi, np.pi / 2, 1.5 * np.pi)
"""[rad] Directions of the halves of four views: top, bottom, left, right."""
_MOST_ANGLE = 2 * np.pi
"""[rad] Angle above which angles are taken for degrees."""


def condenser_light(
    condenser: Condenser, arrays: Mapping[str, np.ndarray], angles: np.ndarray | None, views: list[int], count: int
) -> tuple[dict[str, np.ndarray], list[Diagnostic]]:
    """Describe the light of a condenser by sources and their pattern.

    Args:
        condenser: Section of the config.
        arrays: Arrays of the acquisition, for apertures, wavelength and focus.
        angles: [rad] Direction of the half that shines in each selected view; None for the usual four.
        views: Indices of the selected views in the file.
        count: Number of views in the file.

    Returns:
        ``source_na`` and ``pattern``, and the faults of the description.
    """
    sources = condenser_sources(condenser.na, _source_count(condenser, arrays), condenser.inner_na)
    pattern = np.ones((len(views), len(sources)))
    faults: list[Diagnostic] = []
    if condenser.shape == "half":
        directions, faults = _directions(condenser, angles, views, count)
        sign = -1.0 if condenser.reverse else 1.0
        for row, angle in zip(pattern, directions, strict=True):
            row[:] = half_of(sources, (sign * np.cos(angle), -sign * np.sin(angle)))
    return {"source_na": sources, "pattern": pattern}, faults


def _directions(
    condenser: Condenser, angles: np.ndarray | None, views: list[int], count: int
) -> tuple[np.ndarray, list[Diagnostic]]:
    """Return the direction of the half that shines in each selected view, and the faults of the description."""
    key = "acquisition.condenser.angles"
    if angles is not None:
        largest = float(np.abs(angles).max(initial=0))
        if largest <= _MOST_ANGLE:
            return angles, []
        remedy = "write their unit: [0 deg, 180 deg, 90 deg, 270 deg], or '/path in deg'"
        return angles, [
            Diagnostic(key, f"angles up to {largest:g} rad are more than a turn; they look like degrees", remedy)
        ]
    if condenser.angles is not None or not views:  # The file lacks them, or all views, which is reported already.
        return np.zeros(len(views)), []
    if count == len(_FOUR_HALVES):
        return np.array(_FOUR_HALVES)[views], []
    message = f"the direction of the half that shines is known for 4 views by default, and the file has {count}"
    return np.zeros(len(views)), [
        Diagnostic(key, message, f"give {count} angles, as [0 deg, 180 deg, …], or '/path in deg'")
    ]


def _source_count(condenser: Condenser, arrays: Mapping[str, np.ndarray]) -> int:
    """Choose the number of sources of the whole aperture."""
    if condenser.count != "auto":
        return condenser.count
    names = ("numerical_aperture", "wavelength", "medium_index")
    objective, wavelength, index = (float(arrays[name].max()) if name in arrays else np.nan for name in names)
    focus = arrays.get("defocus", arrays.get(PLANE_Z_ENTRY.name, np.zeros(1)))
    return source_count(condenser.na, objective, wavelength, index, float(np.abs(focus).max(initial=0)))
