"""Sound files of each format, small and made by code, from which damaged ones are derived."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as imageio
import numpy as np
import scipy.io
import tifffile

from .mutations import pack_archive

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "before_0_2"
IMAGES = np.random.default_rng(7).integers(10, 4000, (4, 12, 14)).astype(np.uint16)
NA = np.array([[0.1, 0.0], [0.0, -0.2], [0.15, 0.15], [0.0, 0.0]])
AXIS = np.arange(6) * 1e-7


@dataclass(frozen=True)
class Seed:
    """A sound input.

    Args:
        files: Contents by their path below the folder of the input.
        target: Name of the file to damage.
        entry: Name of the file or folder that the reader is given; empty for the whole folder.
    """

    files: dict[str, bytes]
    target: str
    entry: str


def single(name: str, content: bytes) -> Seed:
    """Make an input of one file."""
    return Seed({name: content}, name, name)


def hdf5(fill: Callable[[h5py.File], None], groups: Sequence[str] = (), **options: Any) -> bytes:
    """Make an HDF5 file in memory.

    Args:
        fill: Function that writes to the file.
        groups: Groups to make before; without the time, which a group of the latest format holds otherwise.
        options: Options of :class:`h5py.File`.
    """
    stream, timeless = io.BytesIO(), h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    timeless.set_obj_track_times(False)
    with h5py.File(stream, "w", **options) as file:
        for name in groups:
            h5py.h5g.create(file.id, name.encode(), gcpl=timeless)
        fill(file)
    return stream.getvalue()


def tiff(values: np.ndarray, **options: Any) -> bytes:
    """Make a TIFF in memory."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def npy(values: np.ndarray) -> bytes:
    """Make a NumPy file in memory."""
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def npz(*, packed: bool = False, **values: Any) -> bytes:
    """Make a NumPy archive in memory."""
    members = [(f"{name}.npy", npy(np.asarray(value))) for name, value in values.items()]
    return pack_archive(members, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)


def png(values: np.ndarray) -> bytes:
    """Make a PNG in memory."""
    return imageio.imwrite("<bytes>", values, extension=".png")  # type: ignore[no-any-return]


def mat5(variables: dict[str, Any], **options: Any) -> bytes:
    """Make a MATLAB v5 file in memory."""
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, **options)
    return b"MATLAB 5.0 MAT-file, at any time".ljust(116) + stream.getvalue()[116:]


def archive(files: dict[str, bytes]) -> bytes:
    """Make a zip archive in memory."""
    return pack_archive(list(files.items()))


def fixture(name: str) -> bytes:
    """Read a file that an earlier version wrote."""
    return (FIXTURES / name).read_bytes()


def acquisitions() -> list[Seed]:
    """Acquisitions of the three kinds, compressed and plain."""
    kinds = [single(f"{kind}.h5", fixture(f"{kind}/acquisition.h5")) for kind in ("cell", "crystal", "shape")]

    def plain(file: h5py.File) -> None:
        file.attrs.update({"format": "unflat-acquisition", "format_version": "1.0", "kind": "cell"})
        file["measurement/images"] = IMAGES.astype(np.float32)
        file["measurement/mask"] = np.zeros(IMAGES.shape[1:], np.uint8)
        for name, value in (("wavelength", 515e-9), ("numerical_aperture", 0.65), ("medium_index", 1.33)):
            file[f"instrument/{name}"] = value
        file["instrument/pixel_size"] = [1e-7, 1e-7]
        file["instrument/pixel_size"].attrs["units"] = "m"
        file["instrument/illumination_na"] = NA

    return [
        *kinds,
        single("plain.h5", hdf5(plain)),
        single("late.h5", hdf5(plain, ("measurement", "instrument"), libver="latest")),
    ]


def foreign_hdf5() -> list[Seed]:
    """HDF5 of a laboratory: names, units, attributes, links, a compound, text."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("I_raw", data=IMAGES, chunks=(1, 12, 14), compression="gzip", shuffle=True)
        file["setup/tilt"] = NA
        file["setup/lambda"] = 0.63
        file["setup/lambda"].attrs["units"] = "um"
        file["setup"].attrs["pixel"] = 650.0
        file.attrs.update({"NA": 0.25, "n": 1.33})
        file["setup/note"] = "a note"
        file["setup/list"] = np.array(["a", "bc"], h5py.string_dtype())
        file["link"] = h5py.SoftLink("/I_raw")
        file["parts"] = np.zeros((4, 12, 14), [("real", "f4"), ("imag", "f4")])

    def fill_packed(file: h5py.File) -> None:
        import hdf5plugin

        fill(file)
        del file["I_raw"]
        file.create_dataset("I_raw", data=IMAGES, chunks=(1, 12, 14), **hdf5plugin.Bitshuffle())
        file.create_dataset("extra", data=IMAGES, chunks=(2, 12, 14), **hdf5plugin.Zstd())
        file.create_dataset("more", data=IMAGES, chunks=(2, 12, 14), **hdf5plugin.LZ4())

    seeds = [single("lab.h5", hdf5(fill)), single("lab-late.h5", hdf5(fill, ("setup",), libver="latest"))]
    if find_spec("hdf5plugin"):
        seeds.append(single("lab-packed.h5", hdf5(fill_packed)))
    return seeds


def volumes_hdf5() -> list[Seed]:
    """Volumes of ours in HDF5."""
    names = ("volumes/cell.h5", "cell/run/volume.h5", "shape/run/volume.h5")
    return [single("volume.h5", fixture(name)) for name in names]


def models() -> list[Seed]:
    """Models of a field of each form."""
    return [single("model.h5", fixture("cell/run/model.h5")), single("model.h5", fixture("shape/run/model.h5"))]


def networks() -> list[Seed]:
    """A network."""
    return [single("network.h5", fixture("network.h5"))]


def checkpoints() -> list[Seed]:
    """Folders with a checkpoint."""
    import tempfile

    from unflat.recon.runs.checkpoint import Checkpoint, write_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        arrays = {"a/b": np.arange(9.0), "c": np.ones((2, 3), np.float32)}
        path = write_checkpoint(Path(folder), Checkpoint(3, arrays, {"losses": [1.0, 2.0]}))
        with h5py.File(path, "r") as file:
            created = bytes(file.attrs["created"])
        # Within the bytes: HDF5 would write a new text beside the old one, which stays in the file.
        files = {path.name: path.read_bytes().replace(created, b"2026-01-01T00:00:00+00:00")}
    return [Seed(files, path.name, "")]


def runs() -> list[Seed]:
    """Run folders, each file of which is damaged in turn."""
    seeds = []
    for kind in ("cell", "shape"):
        folder = FIXTURES / kind / "run"
        files = {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.is_file()}
        files["checkpoint/fingerprint.json"] = json.dumps({"config.seed": 0}).encode()
        names = [n for n in files if n.endswith((".json", ".jsonl", ".log", ".yaml", ".csv", "DONE"))]
        seeds += [Seed(files, name, "") for name in (*names, "predictions.h5") if name in files]
        lock = {"host": "here", "process": 1, "space": "", "born": "1", "since": "2026-01-01", "job": "", "restart": 0}
        seeds.append(Seed(files | {"run.lock": json.dumps(lock).encode()}, "run.lock", ""))
    return seeds


def cxis() -> list[Seed]:
    """CXI files: a measurement, and volumes of ours and of PyNX."""

    def measured(file: h5py.File) -> None:
        file["cxi_version"] = 150
        detector = file.create_group("entry_1/instrument_1/detector_1")
        data = detector.create_dataset("data", data=IMAGES, chunks=(1, 12, 14), compression="gzip")
        data.attrs["axes"] = "rocking:y:x"
        file["entry_1/instrument_1/source_1/energy"] = 1.4e-15
        detector["distance"] = 0.5
        detector["x_pixel_size"] = detector["y_pixel_size"] = 55e-6
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")

    def phased(file: h5py.File) -> None:
        file["cxi_version"] = 150
        file["entry_1/image_1/data"] = (IMAGES * np.exp(0.1j)).astype(np.complex64)
        file["entry_1/image_1/mask"] = np.ones(IMAGES.shape, np.uint8)
        file["entry_1/program_name"] = "PyNX"

    return [single("scan.cxi", hdf5(measured)), single("phased.cxi", hdf5(phased))]


def tiffs() -> list[Seed]:
    """TIFFs of many forms."""
    images, floats = IMAGES, IMAGES.astype(np.float32)
    ome = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.3}
    ome["UUID"] = "urn:uuid:00000000-0000-1000-8000-000000000000"  # The library's own is of the time.
    return [
        single("plain.tif", tiff(images, photometric="minisblack")),
        single("big-endian.tif", tiff(images, byteorder=">", photometric="minisblack")),
        single("lzw.tif", tiff(images, compression="zlib", photometric="minisblack", predictor=True)),
        single("tiled.tif", tiff(np.pad(floats, ((0, 0), (2, 2), (1, 1))), tile=(16, 16), photometric="minisblack")),
        single("big.tif", tiff(images, bigtiff=True, photometric="minisblack")),
        single("a.ome.tif", tiff(floats, ome=True, metadata=ome, photometric="minisblack")),
        single("imagej.tif", tiff(images, imagej=True, metadata={"spacing": 0.3, "unit": "um"}, resolution=(10, 10))),
        single("colour.tif", tiff(IMAGES[:3].astype(np.uint8).transpose(1, 2, 0), photometric="rgb")),
        single("volume.tif", fixture("volumes/cell.tif")),
    ]


def matlabs() -> list[Seed]:
    """MATLAB files of both forms."""
    variables = {"I": IMAGES.transpose(1, 2, 0), "setup": {"na": NA, "lambda": 515.0, "name": "lab"}}
    variables |= {"cells": np.array([1, "a"], object), "flag": np.array([True]), "z": np.ones(3, complex)}

    def fill(file: h5py.File) -> None:
        file["I"] = IMAGES.transpose(1, 2, 0).T
        file["setup/na"] = NA.T
        file["setup/lambda"] = np.array([[515.0]])

    modern = bytearray(hdf5(fill, userblock_size=512))
    modern[:512] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b" ")
    return [
        single("a.mat", mat5(variables)),
        single("packed.mat", mat5(variables, do_compression=True)),
        single("new.mat", bytes(modern)),
    ]


def npzs() -> list[Seed]:
    """NumPy archives: measurements, volumes, densities."""
    density = (IMAGES * np.exp(0.1j)).astype(np.complex64)
    return [
        single("stack.npz", npz(I=IMAGES, na=NA, wavelength=515.0)),
        single("packed.npz", npz(packed=True, I=IMAGES, na=NA, wavelength=515.0)),
        single("volume.npz", fixture("volumes/cell.npz")),
        single("pynx.npz", npz(obj=density, support=np.ones(density.shape, bool))),
    ]


def npys() -> list[Seed]:
    """Densities of cohere."""
    density = npy((IMAGES * np.exp(0.1j)).astype(np.complex64))
    folder = {"image.npy": density, "support.npy": npy(np.ones(IMAGES.shape))}
    return [single("image.npy", density), Seed(folder, "support.npy", "")]


def points() -> list[Seed]:
    """Tables of points."""
    rows = np.random.default_rng(8).uniform(-1, 1, (5, 3))
    text = "\n".join(",".join(f"{v:.3f}" for v in row) for row in rows)
    records = np.zeros(4, [("z", "f8"), ("y", "f8"), ("x", "f8")])

    def fill(file: h5py.File) -> None:
        file["points"] = rows
        file["points"].attrs["units"] = "um"

    def columns(file: h5py.File) -> None:
        for axis in "zyx":
            file[axis] = rows[:, 0]

    return [
        single("p.csv", f"z [um],y [um],x [um]\n{text}\n".encode()),
        single("p.tsv", ("# points\nx\ty\tz\n" + text.replace(",", "\t")).encode()),
        single("p.txt", text.replace(",", "  ").encode()),
        single("p.npy", npy(rows)),
        single("r.npy", npy(records)),
        single("p.npz", npz(points=rows)),
        single("c.npz", npz(packed=True, z=rows[:, 0], y=rows[:, 1], x=rows[:, 2])),
        single("p.h5", hdf5(fill)),
        single("c.h5", hdf5(columns)),
    ]


SPEC = """#F /data/x.spec
#O0 Delta  Theta  Chi  Phi
#O1 Gamma  camdist  Energy  z-sample
#o0 del th chi phi
#o1 gam cam en z

#S 7  ascan  th 0.1 0.3 3 0.25
#P0 32 0.2 90 -5
#P1 12 500 9 10.2
#UIMDET 34idcTIM2:
#Readout 0 14 0 12
#UIMR5  0 14 0 12 1
#L Theta  H  Monitor  pm detector
"""


def scan_files() -> dict[str, bytes]:
    """Files of a raw scan of 34-ID-C."""
    frames = np.random.default_rng(0).poisson(50, (4, 12, 14)).astype(np.int32)
    files = {f"scan7/frames/a_S0007_{i:05d}.tif": tiff(frame) for i, frame in enumerate(frames)}
    files["scan7/dark.tif"] = tiff(np.zeros((12, 14), np.int32))
    files["scan7/whitefield.tif"] = tiff(np.full((12, 14), 1000.0, np.float32))
    rows = [f"{0.1 + 0.2 * i / 3:.6f} 0 {1000 + 10 * i} 3" for i in range(4)]
    files["scan7/scan.spec"] = (SPEC + "\n".join(rows) + "\n").encode()
    return files


def scans() -> list[Seed]:
    """Raw scans of 34-ID-C, as an archive."""
    return [single("scan7.zip", archive(scan_files()))]


def specs() -> list[Seed]:
    """Raw scans of 34-ID-C as a folder, of which the spec file or an image is damaged."""
    return [Seed(scan_files(), name, "scan7") for name in ("scan7/scan.spec", "scan7/dark.tif")]


def section_files() -> dict[str, bytes]:
    """Files of sections of cells: PNG, TIFF and NPY."""
    y, x = np.mgrid[:24, :24] - 12
    mask = ((y**2 + x**2 < 64) * 255).astype(np.uint8)
    image = (mask // 2 + 3).astype(np.uint8)
    volume = np.stack([mask] * 6)
    files = {"cells/image/discocyte_01.png": png(image), "cells/mask/discocyte_01.png": png(mask)}
    files |= {"cells/image/discocyte_02.tif": tiff(image), "cells/mask/discocyte_02.tif": tiff(mask)}
    files |= {"cells/image/discocyte_03.npy": npy(image), "cells/mask/discocyte_03.npy": npy(mask)}
    return files | {f"cells/obj/discocyte_0{i}.tif": tiff(volume, photometric="minisblack") for i in (1, 2, 3)}


def section_archives() -> list[Seed]:
    """Sections of cells as an archive."""
    return [single("cells.zip", archive(section_files()))]


def sections() -> list[Seed]:
    """Sections of cells as a folder, of which one image is damaged."""
    files = section_files()
    names = ("image/discocyte_01.png", "mask/discocyte_02.tif", "mask/discocyte_03.npy", "obj/discocyte_01.tif")
    return [Seed(files, f"cells/{name}", "cells") for name in names]


def image_folders() -> list[Seed]:
    """Folders of TIFFs with a table of lights."""
    files = {f"image_{i}.tif": tiff(image) for i, image in enumerate(IMAGES)}
    files["leds.csv"] = b"y,x\n" + "\n".join(f"{y},{x}" for y, x in NA).encode()
    files["leds.npy"] = npy(NA)
    return [Seed(files, name, "") for name in ("image_0.tif", "image_2.tif", "leds.csv", "leds.npy")]


def mrcs() -> list[Seed]:
    """MRC maps."""
    return [single("cell.mrc", fixture("volumes/cell.mrc"))]


def vtis() -> list[Seed]:
    """VTK images."""
    return [single("cell.vti", fixture("volumes/cell.vti"))]


def configs() -> list[Seed]:
    """Configs of each kind, whole and brief."""
    brief = b"kind: cell\nvolume: &v {depth: 9 um, spacing: [0.2 um, 1e-7, 0.1 um]}\nfit:\n  steps: 10\n  gate: null\n"
    files = [single("run.yaml", fixture(f"{kind}/config.yaml")) for kind in ("cell", "crystal", "shape")]
    return [single("brief.yaml", brief), single("brief.yaml", brief), *files]
