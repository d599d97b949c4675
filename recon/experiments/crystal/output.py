"""The volume file of a crystal: in the laboratory, and in the detector's frame with all that gives the counts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...io.atomic import write_atomically
from ...volume import Volume
from .laboratory import LaboratoryFrame, Solution

_CONVENTION = (
    "counts = exposure of the frame x (|FFT(density)|^2 convolved with point_spread_function + background); exposure: "
    "flux of the beam relative to its mean over the acquisition, by the monitor; forward FFT, centred at n // 2; "
    "phase = -G.u"
)


@dataclass(frozen=True)
class MeasurementModel:
    """What turns a density into the counts that it should give: exposure · (|FFT(density)|² ⊛ kernel + background).

    Args:
        kernel: Point-spread function of odd size, with the sum 1.
        background: Counts in each pixel, under a steady beam.
        good: Pixels that were measured.
        exposure: Flux of the beam in each frame, relative to its mean over the acquisition.
        withheld: Good pixels that were never fitted; None where nobody says.
        first: Index in the acquisition, as it was read, at which the array begins; None where nobody says.
    """

    kernel: Float[np.ndarray, "dz dy dx"]
    background: float
    good: Bool[np.ndarray, "frame y x"]
    exposure: Float[np.ndarray, " frame"]
    withheld: Bool[np.ndarray, "frame y x"] | None = None
    first: tuple[int, int, int] | None = None


def write_result(
    path: Path,
    volume: Volume,
    solution: Solution,
    frame: LaboratoryFrame,
    seen: MeasurementModel,
    provenance: Mapping[str, Any],
) -> None:
    """Write the volume, and beside it what gives the modelled counts.

    Args:
        path: The file.
        volume: In the laboratory.
        solution: In the detector's frame, centred; scaled so that |FFT|² is in counts.
        frame: Where it lies.
        seen: How it was seen.
        provenance: Facts about the input and the config.
    """
    import h5py

    from ...io.volume_hdf5 import write

    numbers: dict[str, tuple[Any, str]] = {
        "point_spread_function": (seen.kernel, "1"),
        "background": (np.float64(seen.background), "counts"),
        "exposure": (seen.exposure, "1"),
    }
    if seen.first is not None:
        numbers["first"] = (np.array(seen.first), "1")
    if frame.reciprocal_basis is not None:
        numbers["reciprocal_basis"] = (frame.reciprocal_basis, "1/m")
    if frame.bragg_vector is not None:
        numbers["bragg_vector"] = (frame.bragg_vector, "1/m")
    with write_atomically(path) as temporary:
        write(volume, temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs["provenance"] = json.dumps(dict(provenance), default=str)
            group = file.create_group("detector_frame")
            group.attrs.update({"NX_class": "NXdata", "signal": "density", "convention": _CONVENTION})
            arrays = [
                ("density", solution.density.astype(np.complex64), "density on the grid conjugate to the patterns"),
                ("mask", (~seen.good).astype(np.uint8), "pixels that were not used; 0 is good"),
            ]
            if seen.withheld is not None:
                meaning = "good pixels that were never fitted, to judge by; 1 is withheld"
                arrays.append(("withheld", seen.withheld.astype(np.uint8), meaning))
            for name, array, meaning in arrays:
                data = group.create_dataset(name, data=array, compression="gzip", shuffle=True)
                data.attrs.update({"units": "1", "long_name": meaning})
            for name, (value, unit) in numbers.items():
                group.create_dataset(name, data=value).attrs["units"] = unit
