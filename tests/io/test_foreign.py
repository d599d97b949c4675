"""Files of other programs: all formats give the same numbers, in SI."""

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from unflat.recon.config.photon_energy import PLANCK_TIMES_LIGHT
from unflat.recon.errors import DataError
from unflat.recon.experiments.cell.illumination import rotation_matrices
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.inspect import describe
from unflat.recon.io.open import open_tree

IMAGES = np.random.default_rng(0).integers(10, 4000, (3, 8, 10)).astype(np.uint16)
NA = np.array([[0.1, 0.0], [0.0, -0.2], [0.15, 0.15]])


def cell(*assignments: str, **numbers: Any) -> Any:
    """Build a config for files that hold images only."""
    assignments_by_name = {
        "wavelength": "515 nm",
        "numerical_aperture": 0.65,
        "medium_index": 1.33,
        "pixel_size": "0.1 um",
        "illumination_na": NA.tolist(),
        **numbers,
    }
    return parse_config("kind: cell", [*(f"acquisition.{k}={v}" for k, v in assignments_by_name.items()), *assignments])


def test_names_units_and_attributes_of_a_foreign_hdf5_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["I_raw"] = IMAGES
        file["setup/tilt"] = NA
        file["setup/lambda"] = 0.63
        file["setup/lambda"].attrs["units"] = "um"
        file["setup"].attrs["pixel"] = 650.0
        file.attrs["NA"] = 0.25
        file.attrs["n"] = 1.33
    settings = cell(
        images="/I_raw",
        wavelength="/setup/lambda",
        pixel_size="/setup@pixel in nm",
        numerical_aperture="/@NA",
        medium_index="/@n",
        illumination_na="/setup/tilt",
    )
    acquisition = read(settings, tmp_path / "a.h5")
    np.testing.assert_array_equal(acquisition["images"], IMAGES)
    np.testing.assert_allclose(acquisition["wavelength"], 0.63e-6)
    np.testing.assert_allclose(acquisition["pixel_size"], [0.65e-6, 0.65e-6])
    np.testing.assert_allclose(acquisition["illumination_na"], NA)
    assert float(acquisition["numerical_aperture"]) == 0.25


def test_an_explicit_unit_takes_precedence_over_that_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["I"], file["w"] = IMAGES, 515.0
        file["w"].attrs["units"] = "um"  # an error of the instrument's program
    np.testing.assert_allclose(read(cell(images="/I", wavelength="/w in nm"), tmp_path / "a.h5")["wavelength"], 515e-9)


def test_axes_in_another_order_are_transposed_as_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["I"] = IMAGES.transpose(1, 2, 0)
    settings = cell(images="/I as y x view", crop="[4, 6]", views="[2, 0]")
    np.testing.assert_array_equal(read(settings, tmp_path / "a.h5")["images"], IMAGES[[2, 0], 2:6, 2:8])


def test_soft_links_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["detector/data"] = IMAGES
        file["entry/data"] = h5py.SoftLink("/detector/data")
        file["entry/gone"] = h5py.SoftLink("/nowhere")
    np.testing.assert_array_equal(read(cell(images="/entry/data"), tmp_path / "a.h5")["images"], IMAGES)
    with pytest.raises(DataError, match="/entry/gone: cannot be opened: it is a link to /nowhere"):
        read(cell(images="/entry/gone"), tmp_path / "a.h5")


@pytest.mark.parametrize("compound", [False, True])
def test_complex_fields_in_two_parts_or_as_a_compound(tmp_path: Path, compound: bool) -> None:
    field = (IMAGES * np.exp(0.1j * np.arange(10))).astype(np.complex64)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if compound:  # as MATLAB and C write them
            parts = np.zeros(field.shape, [("real", "f4"), ("imag", "f4")])
            parts["real"], parts["imag"] = field.real, field.imag
            file["E"] = parts
        else:
            file["re"], file["im"] = field.real * 100, field.imag * 100
    name = "/E" if compound else "{real: /re, imag: /im, scale: 0.01}"
    acquisition = read(cell(field=name), tmp_path / "a.h5")
    np.testing.assert_allclose(acquisition["field"], field, rtol=1e-5)
    assert "images" not in acquisition


def test_variables_of_an_npz_archive_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", stack=IMAGES, angles=NA, wavelength_nm=515.0)
    settings = cell(images="/stack", illumination_na="/angles", wavelength="/wavelength_nm in nm")
    acquisition = read(settings, tmp_path / "a.npz")
    np.testing.assert_array_equal(acquisition["images"], IMAGES)
    np.testing.assert_allclose(acquisition["wavelength"], 515e-9)


def test_an_npz_with_python_objects_runs_no_code(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", stack=IMAGES, evil=np.array([{"a": 1}], dtype=object))
    with open_tree(tmp_path / "a.npz") as tree:
        assert tree.names() == ["/stack"]


def test_matlab_v5_has_the_view_last(tmp_path: Path) -> None:
    variables = {"I": IMAGES.transpose(1, 2, 0), "setup": {"na": NA, "lambda": 515.0}}
    scipy.io.savemat(tmp_path / "a.mat", variables)
    settings = cell(images="/I", illumination_na="/setup/na", wavelength="/setup/lambda in nm")
    acquisition = read(settings, tmp_path / "a.mat")
    np.testing.assert_array_equal(acquisition["images"], IMAGES)
    np.testing.assert_allclose(acquisition["illumination_na"], NA)
    np.testing.assert_allclose(acquisition["wavelength"], 515e-9)


def test_matlab_v73_has_the_shapes_that_matlab_shows(tmp_path: Path) -> None:
    """v7.3 is HDF5 behind a user block, with the axes of each array reversed and scalars of shape (1, 1)."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["I"] = IMAGES.transpose(1, 2, 0).T
        file["na"] = NA.T
        file["lambda"] = np.array([[515.0]])
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b" "))
    settings = cell(images="/I", illumination_na="/na", wavelength="/lambda in nm", crop="[4, 4]", views="1:3")
    acquisition = read(settings, path)
    np.testing.assert_array_equal(acquisition["images"], IMAGES[1:, 2:6, 3:7])
    np.testing.assert_allclose(acquisition["illumination_na"], NA[1:])
    assert describe(path)[0].endswith("MATLAB v7.3")


def test_a_multi_page_tiff_needs_no_names(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGES, photometric="minisblack")
    np.testing.assert_array_equal(read(cell(), tmp_path / "a.tif")["images"], IMAGES)


def test_an_ome_tiff_gives_its_pixel_size(tmp_path: Path) -> None:
    pixel = {"PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.12, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", IMAGES, photometric="minisblack", metadata={"axes": "TYX", **pixel})
    settings = cell(pixel_size="/instrument/pixel_size")
    np.testing.assert_allclose(read(settings, tmp_path / "a.ome.tif")["pixel_size"], [0.12e-6, 0.1e-6])
    with pytest.raises(DataError, match=r"config says 6\.5e-06 m, the file 1\.2e-07, 1e-07 m"):
        read(cell(pixel_size="6.5 um"), tmp_path / "a.ome.tif")


def test_an_imagej_stack_gives_its_pixel_size(tmp_path: Path) -> None:
    calibration = {"unit": "um", "axes": "TYX"}
    tifffile.imwrite(tmp_path / "a.tif", IMAGES, imagej=True, resolution=(10, 5), metadata=calibration)
    settings = cell(pixel_size="/instrument/pixel_size")
    np.testing.assert_allclose(read(settings, tmp_path / "a.tif")["pixel_size"], [0.2e-6, 0.1e-6])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, image in zip((2, 10, 1), IMAGES, strict=True):
        tifffile.imwrite(tmp_path / f"image_{number}.tif", image)
    tifffile.imwrite(tmp_path / "dark.tif", IMAGES[0])
    (tmp_path / "leds.csv").write_text("row,col\n17,18\n17,16\n16,17\n")
    return tmp_path


def test_a_folder_of_tiffs_is_read_in_the_order_of_its_numbers(folder: Path) -> None:
    in_order = IMAGES[[2, 0, 1]]
    np.testing.assert_array_equal(read(cell(), folder / "image_*.tif")["images"], in_order)
    settings = cell(images="/image_*.tif", background="/dark.tif")
    acquisition = read(settings, folder)
    np.testing.assert_array_equal(acquisition["images"], in_order)
    np.testing.assert_array_equal(acquisition["background"], IMAGES[0])


def test_a_folder_may_hold_a_table_of_leds(folder: Path) -> None:
    grid = "acquisition.led_grid={row_col: /leds.csv, pitch: 4 mm, height: 80 mm, centre: [17, 17]}"
    acquisition = read(cell(grid), folder / "image_*.tif")
    na = 4 / np.hypot(4, 80)
    np.testing.assert_allclose(acquisition["illumination_na"], [[0, na], [0, -na], [-na, 0]], atol=1e-15)


def test_an_image_of_another_shape_in_a_folder_is_reported(folder: Path) -> None:
    tifffile.imwrite(folder / "image_11.tif", IMAGES[0, :4])
    with pytest.raises(DataError, match=r"image_11\.tif: the image has the shape \(4, 10\)"):
        read(cell(illumination="normal"), folder / "image_*.tif")


def cxi(path: Path, **datasets: Any) -> Path:
    """Write a CXI file with a few datasets below /entry_1/instrument_1."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 150
        for name, value in datasets.items():
            file[f"entry_1/instrument_1/{name.replace('__', '/')}"] = value
    return path


def test_cxi_gives_images_mask_and_wavelength_by_its_own_names(tmp_path: Path) -> None:
    mask = np.zeros(IMAGES.shape[1:], np.uint32)
    mask[0, 0], mask[1, 1] = 0x1000, 0x1  # "has signal" is no fault
    data = {"detector_1__data": IMAGES, "detector_1__mask": mask, "source_1__energy": 3.857e-19}
    path = cxi(tmp_path / "a.cxi", **data)
    acquisition = read(cell(wavelength="/instrument/wavelength"), path)
    np.testing.assert_array_equal(acquisition["images"], IMAGES)
    np.testing.assert_allclose(acquisition["wavelength"], PLANCK_TIMES_LIGHT / 3.857e-19)
    assert acquisition["mask"].sum() == acquisition["mask"][1, 1] == 1


@pytest.mark.parametrize(("energy", "unit"), [(9000.0, "eV"), (9.0, "keV")])
def test_a_cxi_energy_that_is_not_in_joules_is_named(tmp_path: Path, energy: float, unit: str) -> None:
    path = cxi(tmp_path / "a.cxi", detector_1__data=IMAGES, source_1__energy=energy)
    with pytest.raises(DataError, match=rf"looks like {unit}.*acquisition\.wavelength: {energy:g} {unit}"):
        read(cell(wavelength="/instrument/wavelength"), path)


def test_a_cxi_pixel_size_along_one_axis_is_named(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi", detector_1__data=IMAGES, detector_1__x_pixel_size=1e-7)
    with pytest.raises(DataError, match=r"x_pixel_size: .* along x only.*acquisition\.pixel_size: \[1e-07, 1e-07\]"):
        read(cell(pixel_size="/instrument/pixel_size"), path)
    np.testing.assert_allclose(read(cell(), path)["pixel_size"], 1e-7)


def test_info_describes_every_format(tmp_path: Path, folder: Path) -> None:
    np.savez(tmp_path / "a.npz", small=np.arange(12.0))
    assert any("small  12  float64  0 … 11" in line for line in describe(tmp_path / "a.npz"))
    assert any("3 x 8 x 10" in line for line in describe(folder / "image_*.tif"))
    path = cxi(tmp_path / "a.cxi", detector_1__data=IMAGES)
    text = "\n".join(describe(path))
    assert ": CXI" in text
    assert "data  3 x 8 x 10  uint16" in text


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is no data", b"II*\0garbage", b"\x89HDF\r\n\x1a\n" + b"x" * 100]
)
@pytest.mark.parametrize("name", ["a.h5", "a.tif", "a.npz", "a.mat"])
def test_files_without_data_are_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(cell(), tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"not an array")
    scipy.io.savemat(tmp_path / "a.mat", {"I": IMAGES}, do_compression=True)
    whole = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(whole[: len(whole) // 2])
    for name in ("a.npz", "a.mat"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read(cell(), tmp_path / name)


ALGAE = """
kind: cell
acquisition:
  images: /I_raw
  wavelength: /@wavelength_um in um
  numerical_aperture: /@objective_na
  medium_index: /@medium_index
  pixel_size: 0.6455 um
  led_grid:
    row_col: /led_row_col
    pitch: 4 mm
    height: 79 mm
    centre: [17, 17]
    row_axis: -y
    column_axis: x
"""


def test_the_algae_are_read_with_their_directions_of_light(shared_data: Path) -> None:
    settings = parse_config(
        ALGAE, ["acquisition.crop=[64, 64]", "acquisition.views=::11", "acquisition.vignetted=keep"]
    )
    acquisition = read(settings, shared_data / "cells" / "algae_idt.h5")
    with h5py.File(shared_data / "cells" / "algae_idt.h5") as file:
        np.testing.assert_array_equal(acquisition["images"], file["I_raw"][::11, 224:288, 224:288])
        row, column = file["led_row_col"][11]
    h, v = int(column) - 17, int(row) - 17
    distance = np.sqrt((4 * h) ** 2 + (4 * v) ** 2 + 79**2)
    np.testing.assert_allclose(acquisition["illumination_na"][1], [-4 * v / distance, 4 * h / distance])
    assert float(acquisition["wavelength"]) == pytest.approx(0.63e-6)
    assert float(np.hypot(*acquisition["illumination_na"].T).max()) <= 0.25


FDTD = """
kind: cell
acquisition:
  field: {real: /field_real, imag: /field_imag, scale: 0.01}
  wavelength: /@wavelength_nm in nm
  numerical_aperture: 0.9
  medium_index: /@medium_index
  pixel_size: 76.923077 nm
  illumination: normal
  turn: {axis: y, angles: /angle}
  views: [0, 20, 45, 70]
  bin: 4
"""


def cell_truth(path: Path, every: int) -> np.ndarray:
    """Read n − n_m of the computed cell at every n-th voxel; the middle voxel stays in the middle."""
    with h5py.File(path) as file:
        labels = file["truth_index_label"]
        first = (labels.shape[0] // 2) % every
        index = labels.attrs["refractive_index_of_label"][labels[first::every, first::every, first::every]]
        return np.asarray(index - file.attrs["medium_index"])


def rotate(volume: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rotate a volume: each point of the laboratory has the value at the point rotated back into the specimen."""
    from scipy.ndimage import affine_transform

    centre = np.array(volume.shape) // 2
    back = matrix.T
    return np.asarray(affine_transform(volume, back, offset=centre - back @ centre, order=1))


def test_the_computed_cell_rotates_about_y_from_z_to_x(shared_data: Path) -> None:
    """The phase of each field is the projection of the rotated truth along z; the other sense fits worse.

    Projections alone cannot tell (axis, sense) from its mirror image in z: the next test does.
    """
    from skimage.restoration import unwrap_phase

    path = shared_data / "cells" / "fdtd_cell.h5"
    acquisition = read(parse_config(FDTD), path)
    phases = np.stack([unwrap_phase(np.angle(view)) for view in acquisition["field"]])
    phases -= np.median(phases, axis=(1, 2), keepdims=True)
    truth = cell_truth(path, 4)
    assert truth.shape[1:] == phases.shape[1:]
    radians = 2 * np.pi / float(acquisition["wavelength"]) * float(acquisition["pixel_size"][0])

    def residual(matrices: np.ndarray) -> float:
        modelled = np.stack([rotate(truth, matrix).sum(axis=0) * radians for matrix in matrices])
        return float(np.linalg.norm(phases - modelled) / np.linalg.norm(phases))

    right = residual(acquisition["rotation"])
    assert right < 0.12
    with h5py.File(path) as file:
        angles = file["angle"][[0, 20, 45, 70]]
    assert right < residual(rotation_matrices(angles, "y", reverse=True))
    assert right < 0.6 * residual(rotation_matrices(angles, "x"))


@pytest.mark.slow
def test_diffraction_distinguishes_the_truth_from_its_mirror_image(shared_data: Path) -> None:
    """Multi-slice through the truth gives the fields with +z along the light, better than with its mirror image.

    The difference is small, because the cell is nearly weak, but of one sign at each of eight angles tried.
    """
    path = shared_data / "cells" / "fdtd_cell.h5"
    settings = parse_config(FDTD, ["acquisition.views=[55]", "acquisition.bin=1"])
    acquisition = read(settings, path)
    truth, measured = cell_truth(path, 1), np.fft.fft2(acquisition["field"][0])
    with h5py.File(path) as file:
        angle = file["angle"][[55]]
    mirrored = np.roll(truth[::-1], 1, axis=0)
    errors = [
        diffraction_error(rotate(volume, rotation_matrices(angle, "y", reverse=reverse)[0]), measured)
        for volume, reverse in ((truth, False), (mirrored, True))
    ]
    assert errors[0] < 0.064
    assert errors[0] < 0.95 * errors[1]


def diffraction_error(volume: np.ndarray, measured: np.ndarray) -> float:
    """Compute the relative error of multi-slice in pixels of λ/6.5, at the best focus within a few pixels."""
    import scipy.fft

    count, wave, medium = volume.shape[0], 6.5, 1.333
    u2 = np.add.outer(np.fft.fftfreq(count) ** 2, np.fft.fftfreq(count) ** 2)
    travels = u2 < (medium / wave) ** 2
    eta = np.sqrt(np.where(travels, (medium / wave) ** 2 - u2, 0))

    def kernel(distance: float) -> np.ndarray:
        return np.where(travels, np.exp(2j * np.pi * (eta - medium / wave) * distance), 0).astype(np.complex64)

    step, field = kernel(1), np.ones(volume.shape[1:], np.complex64)
    for layer in volume:
        field = scipy.fft.ifft2(scipy.fft.fft2(field) * step)
        field = field * np.exp(2j * np.pi / wave * layer).astype(np.complex64)
    passed = u2 < (0.9 / wave) ** 2
    expected = np.fft.ifft2(measured * passed)
    errors = []
    for focus in (2, 3, 4):
        modelled = np.fft.ifft2(np.fft.fft2(field) * kernel(focus - (count - 1 - count // 2) - 0.5) * passed)
        gain = np.vdot(modelled, expected) / np.vdot(modelled, modelled)
        errors.append(np.linalg.norm(expected - gain * modelled) / np.linalg.norm(expected - expected[:6].mean()))
    return float(min(errors))
