"""Files and numbers of a crystal's result: the volume with its density in the detector's frame, and the predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ....physics.psf import gaussian_kernel
from ...io.atomic import write_atomically
from ...io.hdf5_common import mark_as_plot, write_root_attributes
from ...io.safe_hdf5 import extend_hdf5, new_hdf5
from ...metrics.edge_profile import median_edge_width, sample_central_lines, write_csv
from ...volume import Volume
from .curve_ends import end_brightness
from .laboratory import LaboratoryFrame, Solution
from .oversampling import circular_extent
from .preprocess import PreprocessedScan

_CONVENTION = (
    "counts = exposure of the frame x (|FFT(density)|^2 convolved with point_spread_function + background); exposure: "
    "flux of the beam relative to its mean over the acquisition, by the monitor; forward FFT, centred at n // 2; "
    "phase = -G.u; with frame_positions p, dy, dx the amplitude of a frame is the FFT over y and x of "
    "exp(-2 pi i (dy y/Ny + dx x/Nx)) sum over z of exp(-2 pi i p z/N) density, in the place of FFT(density)"
)
_AXES = ("frame", "y", "x")
POSITIONS = "frame_positions"
"""Dataset of the positions of frames that are not at even steps, in steps and pixels; absent for an even curve."""
DEVIATIONS = "frame_position_deviations"
"""Dataset of their standard deviations, where they were fitted with the crystal; 0 for those that were not."""


@dataclass(frozen=True)
class MeasurementModel:
    """Parameters that map a density to counts: exposure · (|FFT(density)|² ⊛ kernel + background).

    Args:
        kernel: Point-spread function of odd size, with the sum 1.
        background: Counts in each pixel, under a steady beam.
        good: Mask of the measured pixels.
        exposure: Flux of the beam in each frame, relative to its mean over the acquisition.
        withheld: Mask of the good pixels that were never fitted; None if unknown.
        first: Index in the acquisition, as it was read, at which the array begins; None if unknown.
        positions: Position of each frame along the curve [step], from the middle, and its offsets along y and x
            [pixel]; None for an even curve.
        angles: [rad] Angle of the scanned circle in each frame; None for an even curve, or if unknown.
        deviations: Standard deviations of the positions; None if they were not fitted.
    """

    kernel: Float[np.ndarray, "dz dy dx"]
    background: float
    good: Bool[np.ndarray, "frame y x"]
    exposure: Float[np.ndarray, " frame"]
    withheld: Bool[np.ndarray, "frame y x"] | None = None
    first: tuple[int, int, int] | None = None
    positions: Float[np.ndarray, "frame 3"] | None = None
    angles: Float[np.ndarray, " frame"] | None = None
    deviations: Float[np.ndarray, "frame 3"] | None = None

    @classmethod
    def of_scan(
        cls,
        scan: PreprocessedScan,
        sigmas: Sequence[float],
        background: float,
        withheld: Bool[np.ndarray, "frame y x"],
    ) -> "MeasurementModel":
        """Build the model of a scan; ``sigmas`` are the widths [pixel] of its Gaussian point-spread function."""
        kernel = gaussian_kernel(sigmas)
        angles, first = None, scan.crop_box.first
        if scan.positions is not None and scan.angles is not None:
            angles = scan.angles[0] + scan.angles[1] * scan.positions[:, 0]
        return cls(kernel, background, scan.good, scan.exposure, withheld, first, scan.positions, angles)


def write_volume_file(
    path: Path,
    volume: Volume,
    solution: Solution,
    frame: LaboratoryFrame,
    measurement: MeasurementModel,
    provenance: Mapping[str, Any],
) -> None:
    """Write the volume, and in ``/detector_frame`` the density and all that predicts the counts from it.

    Args:
        path: Path of the file.
        volume: Crystal in the laboratory.
        solution: Density in the detector's frame, centred; scaled so that |FFT|² is in counts.
        frame: Position of the detector's frame in the laboratory.
        measurement: Parameters that map the density to counts.
        provenance: Description of the input and the config.
    """
    from ...io.volume_hdf5 import write

    with write_atomically(path) as temporary:
        write(volume, temporary)
        with extend_hdf5(temporary) as file:
            file.attrs["provenance"] = json.dumps(dict(provenance), default=str)
            _write_detector_frame(file.create_group("detector_frame"), solution, frame, measurement)


def _write_detector_frame(
    group: Any, solution: Solution, frame: LaboratoryFrame, measurement: MeasurementModel
) -> None:
    """Write density, masks and parameters into an empty HDF5 group."""
    group.attrs.update({"NX_class": "NXdata", "signal": "density", "convention": _CONVENTION})
    arrays = [
        ("density", solution.density.astype(np.complex64), "density on the grid conjugate to the patterns"),
        ("mask", (~measurement.good).astype(np.uint8), "pixels that were not used; 0 is good"),
    ]
    if measurement.withheld is not None:
        meaning = "good pixels that were never fitted, to judge by; 1 is withheld"
        arrays.append(("withheld", measurement.withheld.astype(np.uint8), meaning))
    for name, array, meaning in arrays:
        data = group.create_dataset(name, data=array, compression="gzip", shuffle=True, fletcher32=True)
        data.attrs.update({"units": "1", "long_name": meaning})
    numbers: dict[str, tuple[Any, str]] = {
        "point_spread_function": (measurement.kernel, "1"),
        "background": (np.float64(measurement.background), "counts"),
        "exposure": (measurement.exposure, "1"),
    }
    if measurement.positions is not None:
        numbers[POSITIONS] = (measurement.positions, "1")
    if measurement.deviations is not None:
        numbers[DEVIATIONS] = (measurement.deviations, "1")
    if measurement.angles is not None:
        numbers["frame_angles"] = (measurement.angles, "rad")
    if measurement.first is not None:
        numbers["first"] = (np.array(measurement.first), "1")
    if frame.reciprocal_basis is not None:
        numbers["reciprocal_basis"] = (frame.reciprocal_basis, "1/m")
    if frame.bragg_vector is not None:
        numbers["bragg_vector"] = (frame.bragg_vector, "1/m")
    for name, (value, unit) in numbers.items():
        group.create_dataset(name, data=value).attrs["units"] = unit


def write_predictions(
    folder: Path, scan: PreprocessedScan, modelled: Float[np.ndarray, "frame y x"], curves: Mapping[str, np.ndarray]
) -> None:
    """Write measured and modelled counts on the three planes through the peak, and curves, as ``predictions.h5``.

    Args:
        folder: Folder of the run.
        scan: Preprocessed measurement.
        modelled: Predicted counts.
        curves: Curves by name, such as those of the agreement by resolution.
    """
    planes = {"measured": scan.counts, "modelled": modelled.astype(np.float32), "good": scan.good.astype(np.uint8)}
    with write_atomically(folder / "predictions.h5") as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-diffraction", "crystal", "measured")
        for name, array in planes.items():
            for axis, letter in enumerate(_AXES):
                # A box that leaves the peak out is cut where it comes nearest to it.
                index = int(np.clip(scan.peak[axis], 0, array.shape[axis] - 1))
                plane = np.take(array, index, axis=axis)
                data = file.create_dataset(
                    f"{name}/{letter}", data=plane, compression="gzip", shuffle=True, fletcher32=True
                )
                data.attrs["units"] = "1" if name == "good" else "counts"
            mark_as_plot(file[name], _AXES[0], (".", "."))
        for name, curve in curves.items():
            file.create_dataset(f"curves/{name}", data=curve).attrs["units"] = "1"


def write_profiles(folder: Path, volume: Volume) -> None:
    """Write the values along z, y and x through the crystal's middle as ``profiles.csv``."""
    with write_atomically(folder / "profiles.csv") as temporary:
        write_csv(sample_central_lines(volume), temporary, volume.length_unit)


def psf_numbers(sigmas: Sequence[float], background: float) -> dict[str, float]:
    """Name the widths [pixel] of the point-spread function, and the background [counts]."""
    widths = {f"psf_{name}": float(sigma) for name, sigma in zip(_AXES, sigmas, strict=True)}
    return widths | {"background": float(background)}


def sampling_numbers(scan: PreprocessedScan, support: Bool[np.ndarray, "frame y x"]) -> dict[str, float]:
    """Count the measured voxels, and compute the curve's ends and the support's oversampling.

    ``oversampling_ratio`` is that of the volume: measured voxels for each of the support (Miao et al. 1998).
    """
    numbers = {"voxels_measured": float(scan.good.sum()), "masked_fraction": float(1 - scan.good.mean())}
    numbers["end_brightness"] = max(end_brightness(scan.normalized_counts, scan.good))
    numbers["oversampling_ratio"] = numbers["voxels_measured"] / max(int(support.sum()), 1)
    for axis, (name, size) in enumerate(zip(_AXES, support.shape, strict=True)):
        others = tuple(i for i in range(3) if i != axis)
        numbers[f"oversampling_{name}"] = size / max(circular_extent(np.asarray(support.any(axis=others))), 1)
    return numbers


def size_numbers(scan: PreprocessedScan, volume: Volume, numbers: Mapping[str, float]) -> dict[str, float]:
    """Compute lengths [m] and strain; nothing where the size of a voxel is unknown.

    Args:
        scan: Preprocessed measurement.
        volume: Crystal in the laboratory.
        numbers: Numbers of the result; resolutions in voxels are converted to metres.
    """
    if volume.length_unit != "m":
        return {}
    spacing, inside = float(np.cbrt(np.prod(volume.spacing))), volume.values["support"] > 0
    frames, rows, columns = scan.counts.shape
    steps = LaboratoryFrame(scan.reciprocal_basis).steps((frames, rows, columns))
    voxel = float(np.cbrt(abs(np.linalg.det(steps))))
    sizes = {"voxel_size": spacing, "crystal_volume": float(inside.sum()) * spacing**3}
    for name in ("prtf_resolution", "fsc_resolution"):
        if f"{name}_voxels" in numbers:
            sizes[name] = numbers[f"{name}_voxels"] * voxel
    width = median_edge_width(volume, "amplitude")
    if np.isfinite(width):
        sizes["edge_width"] = width
    if "strain" in volume.values:
        sizes["strain_rms"] = float(np.std(volume.values["strain"][inside]))
    return sizes
