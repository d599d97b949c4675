"""Raw rocking scan of 34-ID-C, from its frames to strain by one command, and compared with cohere at equal pixels.

Equal pixels are the 128³ voxels around the brightest one, prepared as in the example of cohere: dark and white field
corrected, voxels of 2 counts or less set to zero, and every voxel taken as measured. cohere and PyNX reach 0.100 and
0.091 there. This discards most of the data: the command itself fits raw counts with a mask, with rows of its own.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.volume_formats import read_volume

from . import cohere_reference
from .commands import Options, phase
from .diffraction import compare_counts, read_solution
from .ledger import Ledger, Numbers
from .pictures import save_small
from .places import shared
from .surfaces import surfaces

NAME = "34-ID-C scan 54 (real data)"
TINY: Options = {"acquisition.crop": [32, 32, 32], "phase.starts": 2, "phase.refine.iterations": 10}
TINY |= {"phase.recipe": [{"hio": {"iterations": 20}}]}
EDGE = 128
THRESHOLD = 2.0
"""Counts up to which the example of cohere sets voxels to zero."""
ELSEWHERE = {"cohere": 0.100, "PyNX": 0.091}
VOXEL = (5.03, 5.03, 15.6)
"""[nm] Voxel on the grid of all frames and pixels, along (x, y, frame)."""


def run(ledger: Ledger) -> None:
    """Phase the raw frames, then the prepared ones, and run cohere."""
    source = shared("crystals/aps34idc_scan54.zip")
    changes: Options = ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("crystal"), encoding="utf-8")
    known = {"set": changes}
    raw = ledger.part("raw", known, lambda: _raw(ledger, config, source, changes))
    equal = ledger.part("equal", {**known, "threshold": THRESHOLD}, lambda: _equal(ledger, config, source, changes))
    theirs = _cohere(ledger)
    ledger.figure("scan54")
    _add_rows(ledger, raw, equal, theirs)


def _raw(ledger: Ledger, config: Path, source: Path, changes: Options) -> Numbers:
    output = ledger.scratch / "raw"
    numbers = phase(config, source, output, changes, ledger.device)
    volume = read_volume(output / "volume.h5")
    save_small(surfaces(volume, "strain"), ledger.figure("scan54"))
    with h5py.File(output / "volume.h5") as file:
        basis = file["detector_frame/reciprocal_basis"][()]
    inside = volume.values["support"] > 0
    strain = volume.values["strain"][inside]
    numbers["strain_largest"] = float(np.percentile(np.abs(strain), 99))
    numbers["strain_uncertainty"] = float(np.median(volume.values["uncertainty_strain"][inside]))
    return numbers | _axes(basis, source, config)


def _axes(basis: np.ndarray, source: Path, config: Path) -> Numbers:
    """Compute the voxel on the grid of the whole measurement [nm], and the angles between the axes of q [degree]."""
    settings = parse_config(config.read_text("utf-8"))
    shape = get_experiment("crystal").read(settings, source)["images"].shape
    steps = 2 * np.pi * np.linalg.inv(basis * np.array(shape)[:, None]).T
    unit = basis / np.linalg.norm(basis, axis=1)[:, None]
    angles = [float(np.degrees(np.arccos(unit[a] @ unit[b]))) for a, b in ((2, 1), (2, 0), (1, 0))]
    return {"voxel_nm": [float(1e9 * n) for n in np.linalg.norm(steps, axis=1)[::-1]], "angles": angles}


def _equal(ledger: Ledger, config: Path, source: Path, changes: Options) -> Numbers:
    """Phase the counts as prepared for cohere, with every voxel taken as measured."""
    counts = _prepared(config, source, ledger.choose(EDGE, 32))
    path, output = ledger.scratch / "equal.npz", ledger.scratch / "equal"
    np.savez_compressed(path, intensity=counts)
    # No voxel is masked and none is moved.
    unchanged = {"acquisition.images": "/intensity", "acquisition.hot_pixels": "keep", "acquisition.aliens": "keep"}
    unchanged |= {"acquisition.centre": "none", "acquisition.crop": "all", "acquisition.doubtful": "warn"}
    numbers = phase(config, path, output, {**changes, **unchanged}, ledger.device)
    answer = read_solution(output)
    numbers["judged"] = compare_counts(answer.modelled, counts, np.ones(counts.shape, bool))
    return numbers


def _prepared(config: Path, source: Path, edge: int) -> np.ndarray:
    """Prepare the counts around the brightest voxel as in the example of cohere."""
    words = ["acquisition.crop=all", "acquisition.hot_pixels=mask", "acquisition.aliens=keep"]
    settings = parse_config(config.read_text("utf-8"), words)
    whole = preprocess(settings, get_experiment("crystal").read(settings, source)).counts
    whole = np.where(whole <= THRESHOLD, 0, whole)
    top = np.unravel_index(int(whole.argmax()), whole.shape)
    moved = np.roll(whole, [n // 2 - t for n, t in zip(whole.shape, top, strict=True)], (0, 1, 2))
    return moved[tuple(slice(n // 2 - edge // 2, n // 2 + edge // 2) for n in whole.shape)]


def _cohere(ledger: Ledger) -> Numbers | None:
    if ledger.quick:
        return None

    def compute() -> Numbers:
        with np.load(ledger.scratch / "equal.npz") as file:
            counts = file["intensity"].astype(np.float64)
        result = cohere_reference.reconstruct(ledger, "cohere", np.sqrt(counts), 0)
        modelled = result.pop("modelled")
        del result["density"]
        return result | compare_counts(modelled, counts, np.ones(counts.shape, bool))

    try:
        return ledger.part("cohere", {"threshold": THRESHOLD, "sequence": cohere_reference.SEQUENCE}, compute)
    except cohere_reference.Absent as error:
        ledger.notes.append(str(error))
        return None


def _add_rows(ledger: Ledger, raw: Numbers, equal: Numbers, theirs: Numbers | None) -> None:
    add = partial(ledger.row, name=NAME)
    how = "`unflat phase` on the zip with the shipped defaults: raw frames, dark and white field, mask"
    add("free LLK, raw counts", raw["llk_free"], digits=3, reference=f"fitted pixels {raw['llk']:.3f}", how=how)
    add(
        "agreement of the solutions", raw["agreement"], digits=4, how=f"{raw['kept']:.0f} of {raw['starts']:.0f} starts"
    )
    stagnated = f"{raw['stagnated']:.0f} of {raw['starts']:.0f}"
    add("starts that stagnate", raw["stagnated"], digits=0, how=stagnated)
    add("PRTF resolution", 1e9 * raw["prtf_resolution"], unit="nm", digits=1, how="first below 1/e, or two voxels")
    add("FSC resolution", 1e9 * raw["fsc_resolution"], unit="nm", digits=1, how="halves of the starts, first below 0.5")
    add("voxel of the result", 1e9 * raw["voxel_size"], unit="nm", digits=2, how="cube; central box of the frames")
    for name, ours, known in zip(["x", "y", "frame"], raw["voxel_nm"], VOXEL, strict=True):
        add(f"voxel on the full grid, {name}", ours, unit="nm", digits=2, reference=f"{known:g} nm (the data's README)")
    angles = ", ".join(f"{angle:.1f}°" for angle in raw["angles"])
    ledger.notes.append(
        f"Angles between the axes of q (x and y, x and frame, y and frame): {angles}; the data's README has 90.0°, "
        "102.8°, 76.9°. It counts 200 steps between 201 frames, hence its longer voxel along the frames."
    )
    add("strain, rms", 1e4 * raw["strain_rms"], unit="·10⁻⁴", digits=2, how="∂u/∂x along G, inside the support")
    spread = f"median spread between solutions {1e4 * raw['strain_uncertainty']:.2f}·10⁻⁴"
    add("strain, 99 % are below", 1e4 * raw["strain_largest"], unit="·10⁻⁴", digits=2, how=spread)
    cost = f"{raw['cpu_seconds'] / 60:.1f} min of CPU, {raw['peak_bytes'] / 2**30:.1f} GiB"
    add("time, raw frames to strain", raw["wall_seconds"] / 60, unit="min", digits=1, how=f"whole process; {cost}")
    beside = ", ".join(f"{name} {value:.3f}" for name, value in ELSEWHERE.items())
    if theirs:
        beside += f"; {theirs['version']} {theirs['chi_rms']:.3f} in this run ({theirs['wall_seconds']:.0f} s)"
    add(
        "chi_rms at equal pixels",
        equal["judged"]["chi_rms"],
        digits=4,
        reference=beside,
        goal=("<", min(ELSEWHERE.values())),
        how="128³ as cohere's example prepares them, noise set to 0, all taken as measured; of ours 5 % were withheld",
    )
    note = f"On raw counts chi_rms is {raw['chi_rms_all']:.3f} over all {raw['voxels_measured']:,.0f} measured voxels: "
    ledger.notes.append(note + "most of it is counting noise, which the prepared data have not.")
