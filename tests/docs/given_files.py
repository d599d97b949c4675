"""Files that pages take for granted: tiny measurements and results of each kind, and files of other programs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import tifffile

from unflat.cli.main import run

from .page_commands import ROOT

CELL = """kind: cell
volume: {depth: 2 um}
fit: {steps: 3, field: voxels, sign: any, start: none}
physics: {absorption: false}
predict: {draws: 2}
simulate: {shape: [16, 16], illumination: {count: 6}, depth: 2 um}
"""
CRYSTAL = """kind: crystal
phase: {starts: 2, keep: 2, network_starts: 0, recipe: [{hio: {iterations: 20}}],
  refine: {iterations: 3, margin: 0}}
fit: {steps: 2, starts: 1, pyramid: {levels: 2}}
simulate: {shape: [24, 24, 24], flaws: [], strains: [polynomial], phase: [0.3, 0.3]}
"""
SHAPE = """kind: shape
predict: {draws: 3}
volume: {edge: 24}
simulate: {cells: 2, classes: [discocyte, spherocyte]}
"""
FOREIGN_CELL = """kind: cell
volume: {depth: 2 um}
acquisition:
  images: /I
  wavelength: 0.53 um
  numerical_aperture: 0.5
  medium_index: 1.33
  pixel_size: 0.3 um
  led_grid: {row_col: /leds, pitch: 4 mm, height: 79 mm, centre: [0, 0]}
"""
LEDS = "[[0, 0], [0, 3], [3, 0], [0, -3], [-3, 0]]"
STACK = FOREIGN_CELL.replace("images: /I", "images: /measurement/images").replace("/leds", LEDS)


class GivenFiles:
    """Files by name, each made once in a session, when the first page asks for it.

    Args:
        folder: Folder in which they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def provide(self, name: str, target: Path) -> None:
        """Copy a file, or a folder, to a page's scratch folder.

        Args:
            name: Name of the file in `BUILDERS`, or a path inside such a folder.
            target: Path to write.
        """
        folder, _, inside = name.partition("/")
        source = self._path(folder) / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)

    def _path(self, name: str) -> Path:
        path = self._folder / name
        if not path.exists():
            BUILDERS[name](self, path)
        return path

    def run(self, command: str, *words: str, output: Path) -> None:
        """Run a command of unflat; words that name a given file become its path."""
        inputs = [str(self._path(word)) if word in BUILDERS else word for word in words]
        status = run([command, *inputs, "-o", str(output)])
        if status not in (0, 5):  # A result of three steps may be above its gate.
            raise RuntimeError(f"unflat {command} {' '.join(words)}: status {status}")


def _text(content: str) -> Callable[[GivenFiles, Path], None]:
    return lambda given, path: _ignore(path.write_text(content, "utf-8"))


def _command(*words: str) -> Callable[[GivenFiles, Path], None]:
    return lambda given, path: given.run(*words, output=path)


def _copy(path: str) -> Callable[[GivenFiles, Path], None]:
    """Copy a file of the repository."""
    return lambda given, target: _ignore(shutil.copyfile(ROOT / path, target))


def _ignore(_: object) -> None:
    """Discard a value."""


def _cells(given: GivenFiles, path: Path) -> None:
    """Write a folder with image/, mask/ and obj/, as the data set of SHAPR has."""
    with h5py.File(given._path("shape.h5")) as file:
        images, masks = file["measurement/images"][()], file["measurement/mask"][()]
        truth = file["truth/occupancy"][()].reshape(len(images), *file["truth/occupancy"].shape[-3:])
    scale = 255 / images.max()
    for n, (image, mask, shape) in enumerate(zip(images, masks, truth, strict=True), 1):
        for folder, array in (("image", image * scale), ("mask", (mask > 0) * 255.0), ("obj", (shape > 0.5) * 255.0)):
            (path / folder).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path / folder / f"discocyte_{n:02d}.tif", array.astype(np.uint8))


def _labels(given: GivenFiles, path: Path) -> None:
    """Write a label stack of two balls, with the voxel in its metadata."""
    z, y, x = np.indices((16, 32, 32))
    labels = np.zeros((16, 32, 32), np.uint16)
    for number, centre in ((1, 9), (2, 22)):
        labels[(z - 8) ** 2 + (y - 16) ** 2 + (x - centre) ** 2 < 30] = number
    voxel = {f"PhysicalSize{axis}": 0.2 for axis in "XYZ"}
    tifffile.imwrite(path, labels, ome=True, metadata={"axes": "ZYX", **voxel})


def _mask(given: GivenFiles, path: Path) -> None:
    """Write a mask of one ball, without a voxel size."""
    z, y, x = np.indices((16, 32, 32)) - np.array([8, 16, 16])[:, None, None, None]
    tifffile.imwrite(path, ((3 * z) ** 2 + y**2 + x**2 < 140).astype(np.uint8) * 255)


def _predictions(given: GivenFiles, path: Path) -> None:
    """Write the shapes of another program: the truth, moved by a voxel."""
    for file in sorted((given._path("CELLS") / "obj").iterdir()):
        path.mkdir(exist_ok=True)
        tifffile.imwrite(path / file.name.replace(".tif", "_pred.tif"), np.roll(tifffile.imread(file), 1, axis=2))


def _other_program(given: GivenFiles, path: Path) -> None:
    """Write a density as cohere's folder of results: image.npy, whose axes are (x, y, frame)."""
    with h5py.File(given._path("crystal-run") / "volume.h5") as file:
        density = file["detector_frame/density"][()]
    path.mkdir()
    np.save(path / "image.npy", np.conj(density.transpose(2, 1, 0)))


def _scan_with_dark_fields(given: GivenFiles, path: Path) -> None:
    """Write images of a camera with a dark level, and the exposure of each."""
    with h5py.File(path, "w") as file:
        file["I"] = np.random.default_rng(0).poisson(200, (5, 16, 16)).astype("u2")
        file["leds"] = np.array([[0, 0], [0, 3], [3, 0], [0, -3], [-3, 0]])
        file["exposure_ms"] = np.full(5, 20.0)


def _positions(given: GivenFiles, path: Path) -> None:
    """Write an OME-TIFF of two positions with two channels each, of five images."""
    with tifffile.TiffWriter(path, ome=True) as file:
        for n in range(2):
            images = np.random.default_rng(n).poisson(200, (5, 2, 16, 16)).astype("u2")
            names = {"axes": "TCYX", "Name": f"Pos{n}", "Channel": {"Name": ["BF", "GFP"]}}
            file.write(images, metadata={**names, "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3})


def _large_frames(given: GivenFiles, path: Path) -> None:
    """Write the crystal's counts somewhere on a detector of 820 x 720 pixels."""
    shutil.copyfile(given._path("crystal.h5"), path)
    with h5py.File(path, "r+") as file:
        counts = file["measurement/images"]
        frames = np.zeros((len(counts), 820, 720), counts.dtype)
        frames[:, 560:584, 460:484] = counts
        attributes = dict(counts.attrs)
        for name in ("images", "mask"):
            if name in file["measurement"]:
                del file["measurement"][name]
        file["measurement"].create_dataset("images", data=frames, compression=1, chunks=(1, 820, 720))
        file["measurement/images"].attrs.update(attributes)


def _several_scans(given: GivenFiles, path: Path) -> None:
    """Write two scans into one file, as BLISS does."""
    with h5py.File(path, "w") as file:
        for name, source in (("1.1", "crystal.h5"), ("2.1", "crystal-again.h5")):
            with h5py.File(given._path(source)) as scan:
                scan.copy("/", file, name)


def _again(seed: int) -> Callable[[GivenFiles, Path], None]:
    """Write a further scan of the same peak: the counts with noise of their own."""

    def build(given: GivenFiles, path: Path) -> None:
        shutil.copyfile(given._path("crystal.h5"), path)
        with h5py.File(path, "r+") as file:
            counts = file["measurement/images"]
            counts[...] = np.random.default_rng(seed).poisson(counts[()])

    return build


def _timed(seconds: float) -> Callable[[GivenFiles, Path], None]:
    """Build a cell's scan that gives its time."""

    def build(given: GivenFiles, path: Path) -> None:
        given.provide("cell.h5", path)
        with h5py.File(path, "r+") as file:
            file.create_dataset("series/time", data=seconds).attrs["units"] = "s"

    return build


def _beamline_scan(given: GivenFiles, path: Path) -> None:
    """Write counts and a rocking angle under the names of another program."""
    with h5py.File(path, "w") as file, h5py.File(given._path("crystal.h5")) as scan:
        file["data"] = scan["measurement/images"][()]
        file["motors/eta"] = 17.6 + 0.006 * (np.arange(len(file["data"])) - len(file["data"]) // 2)


def _image_stack(given: GivenFiles, path: Path) -> None:
    """Write the images of a cell as a camera's program does."""
    with h5py.File(given._path("cell.h5")) as file:
        tifffile.imwrite(path, file["measurement/images"][()].astype(np.uint16), metadata={"axes": "TYX"})


def _led_positions(given: GivenFiles, path: Path) -> None:
    """Write the positions [mm] of the LEDs of `_image_stack`, 79 mm below the specimen."""
    with h5py.File(given._path("cell.h5")) as file:
        sines = file["instrument/illumination_na"][()]
    tangents = sines / np.sqrt(1 - (sines**2).sum(axis=1, keepdims=True))
    np.savetxt(path, 79 * tangents, delimiter=",", header="y,x", comments="")


def _gold(given: GivenFiles, path: Path) -> None:
    """Write counts and mask under the names of the gold crystal's file."""
    with h5py.File(given._path("crystal.h5")) as file:
        counts = file["measurement/images"][()]
    np.savez(path, intensity=counts, alien_mask=np.zeros(counts.shape, np.uint8))


BUILDERS: dict[str, Callable[[GivenFiles, Path], None]] = {
    "cell.yaml": _text(CELL),
    "cell.h5": _command("simulate", "cell.yaml"),
    "wide-cell.h5": _command("simulate", "cell.yaml", "--set", "simulate.shape=[40, 40]"),
    "likely-cell.yaml": _text(CELL.replace("start: none", "start: linear").replace("steps: 3", "steps: 10")),
    **{f"timed-cell-{number}.h5": _timed(15.0 * number) for number in range(3)},
    "cell-run": _command("fit", "cell.yaml", "cell.h5"),
    "crystal.yaml": _text(CRYSTAL),
    "crystal.h5": _command("simulate", "crystal.yaml"),
    "crystal-again.h5": _again(1),
    "crystal-once-more.h5": _again(2),
    "crystal-run": _command("phase", "crystal.yaml", "crystal.h5"),
    "crystal-fit": _command("fit", "crystal.yaml", "crystal.h5"),
    "shape.yaml": _text(SHAPE),
    "shape.h5": _command("simulate", "shape.yaml"),
    "shape-run": _command("predict", "shape.yaml", "CELLS"),
    "CELLS": _cells,
    "foreign-cell.yaml": _text(FOREIGN_CELL),
    "stack-cell.yaml": _text(STACK),
    "fpm.h5": _scan_with_dark_fields,
    "positions.ome.tif": _positions,
    "labels.ome.tif": _labels,
    "mask.tif": _mask,
    "predictions": _predictions,
    "results_phasing": _other_program,
    "large.h5": _large_frames,
    "several.h5": _several_scans,
    "gold64.npz": _gold,
    "gold-crystal.yaml": _copy("configs/gold-crystal.yaml"),
    "beamline.h5": _beamline_scan,
    "stack.tif": _image_stack,
    "leds.csv": _led_positions,
    "read_model.py": _copy("docs/read_model.py"),
    "cell.h5-network": _copy("recon/networks/shipped/cell.h5"),
    "shape.h5-network": _copy("recon/networks/shipped/shape.h5"),
    "points.csv": _text("z,y,x\n0,0,0\n10,0,-5\n"),
}
"""Functions that make each file; its name says to the table of pages what it is."""
