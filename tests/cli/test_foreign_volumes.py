"""Volumes of other programs on the command line: labels, channels, spacings, folders."""

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import trimesh

from unflat.cli.main import run

from ..io.ome_files import binary_only, block, image
from ..io.ome_files import ome as ome_xml
from ..io.ome_files import write as write_ome

pytestmark = pytest.mark.filterwarnings("ignore:Setting the dtype on a NumPy array:DeprecationWarning")

RADIUS = 8.0
VOLUME, AREA = 4 / 3 * np.pi * RADIUS**3, 4 * np.pi * RADIUS**2


def ball(radius: float = RADIUS, step: tuple[float, float, float] = (1, 1, 1), count: int = 22) -> np.ndarray:
    axes = [(np.arange(n) - (n - 1) / 2) * d for n, d in zip((int(count / d) for d in step), step, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return ((z**2 + y**2 + x**2 <= radius**2) * 255).astype(np.uint8)


def distance() -> np.ndarray:
    """Signed distance of the ball, negative inside."""
    z, y, x = np.mgrid[:22, :22, :22] - 10.5
    return (np.sqrt(z**2 + y**2 + x**2) - RADIUS).astype(np.float32)


def measured(tmp_path: Path, *words: str | Path, status: int = 0) -> list[dict[str, str]]:
    table = tmp_path / "t.csv"
    assert run(["measure", *map(str, words), "-o", str(table), "--force"]) == status
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_ball(row: dict[str, str], unit: str = "voxel", scale: float = 1.0, radius: float = RADIUS) -> None:
    share = radius / RADIUS
    assert float(row[f"volume [{unit}3]"]) == pytest.approx(VOLUME * (scale * share) ** 3, rel=0.02)
    assert float(row[f"surface_area [{unit}2]"]) == pytest.approx(AREA * (scale * share) ** 2, rel=0.02)


def write(path: Path, values: np.ndarray, **options: Any) -> Path:
    """Write a volume in the format of the name's extension."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, occupancy=values)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["exported/segmentation"] = values
    elif path.suffix == ".mrc":
        with mrcfile.new(path) as file:
            file.set_data(values.astype(np.int16))
    else:
        tifffile.imwrite(path, values, **options)
    return path


def ome(sizes: dict[str, float], unit: str = "µm", axes: str = "ZYX") -> dict[str, Any]:
    units = {f"PhysicalSize{axis}Unit": unit for axis in sizes}
    return {"ome": True, "metadata": {"axes": axes, **{f"PhysicalSize{a}": d for a, d in sizes.items()}, **units}}


def write_set(folder: Path) -> None:
    """Write two positions, a file each, of which the second has its metadata in the first."""
    small = [*ball(RADIUS / 2, count=12), *ball(RADIUS / 2, count=12)[::-1]]
    sizes = {"X": 12, "Y": 12, "Z": 12, "C": 2}
    files = ("a_0.ome.tif", "a_1.ome.tif")
    pair = [image(f"Pos{i}", sizes, [block(f, f, 0, 24)], channels=("grey", "cell")) for i, f in enumerate(files)]
    planes = np.array(small, np.uint16)
    write_ome(folder / files[0], planes, ome_xml(*pair, uuid=files[0]))
    write_ome(folder / files[1], planes // 255 * (np.arange(24) != 17)[:, None, None], binary_only(files[0], files[1]))


def test_a_volume_of_a_set_is_that_of_its_file_or_of_a_position(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(tmp_path)
    volumes = {}
    for name in ("a_0.ome.tif", "a_1.ome.tif"):
        (row,) = measured(tmp_path, tmp_path / name, "--channel", "cell")
        volumes[name] = float(row["volume [um3]"])
        (other,) = measured(tmp_path, tmp_path / "a_1.ome.tif", "--channel", "cell", "--position", f"Pos{name[2]}")
        assert float(other["volume [um3]"]) == volumes[name]
    assert volumes["a_0.ome.tif"] > 1.1 * volumes["a_1.ome.tif"]
    assert "2 positions (0 Pos0, 1 Pos1): number 1 is read, that of this file" in capsys.readouterr().err
    (tmp_path / "a_1.ome.tif").unlink()
    measured(tmp_path, tmp_path / "a_0.ome.tif", "--position", "Pos1", status=3)
    error = capsys.readouterr().err
    assert "Pos1 (a_1.ome.tif)" in error
    assert "there is no position 'Pos1'" in error


def test_a_volume_of_which_a_part_is_absent_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    parts = [block("a.tif", "a", 0, 12), block("b.tif", "b", 0, 10, Z=12)]
    planes = ball().astype(np.uint16)
    write_ome(folder / "a.tif", planes[:12], ome_xml(image("cell", {"X": 22, "Y": 22, "Z": 22}, parts), uuid="a"))
    write_ome(folder / "b.tif", planes[12:], binary_only("a.tif", "b"))
    (row,) = measured(tmp_path, folder / "b.tif", "--spacing", "1 um")
    assert_ball(row, "um")
    (row,) = measured(tmp_path, folder, "--spacing", "1 um")
    assert_ball(row, "um")
    assert "the volume is in several files: a.tif, b.tif" in capsys.readouterr().err
    (folder / "b.tif").unlink()
    measured(tmp_path, folder / "a.tif", status=3)
    assert "10 of 22 images of 'cell' are absent: not here: b.tif" in capsys.readouterr().err


class TestSpacing:
    @pytest.mark.parametrize("name", ["a.tif", "a.npz", "a.npy", "a.h5", "a.mrc"])
    def test_a_file_without_a_voxel_is_measured_in_voxels_or_with_a_spacing(
        self, name: str, tmp_path: Path, capsys: Any
    ) -> None:
        path = write(tmp_path / name, ball())
        (row,) = measured(tmp_path, path)
        assert_ball(row)
        assert "lengths are in voxels" in capsys.readouterr().err
        (row,) = measured(tmp_path, path, "--spacing", "0.17 um")
        assert_ball(row, "um", 0.17)
        assert "lengths are in voxels" not in capsys.readouterr().err

    def test_imagej_gives_the_voxel_and_a_spacing_replaces_it(self, tmp_path: Path, capsys: Any) -> None:
        metadata = {"axes": "ZYX", "spacing": 1.5, "unit": "micron"}
        flat = ball(step=(1.5, 1, 1))
        path = write(tmp_path / "a.tif", flat, imagej=True, resolution=(1.0, 1.0), metadata=metadata)
        (row,) = measured(tmp_path, path)
        assert_ball(row, "um")
        (row,) = measured(tmp_path, path, "--spacing", "0.75um,0.5um,0.5um")
        assert_ball(row, "um", 0.5)
        assert "1.5um,1um,1um apart in the file; --spacing 0.75um,0.5um,0.5um is used" in capsys.readouterr().err

    def test_a_unit_that_is_no_length_means_voxels(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.ome.tif", ball(), **ome(dict.fromkeys("ZYX", 1.0), "pixel"))
        (row,) = measured(tmp_path, path)
        assert_ball(row)
        (row,) = measured(tmp_path, path, "--spacing", "100 nm")
        assert_ball(row, "um", 0.1)

    def test_a_missing_length_is_named_and_the_remedy_works(self, tmp_path: Path, capsys: Any) -> None:
        path = write(tmp_path / "a.ome.tif", ball(), **ome({"X": 0.1, "Y": 0.1, "Z": 0.0}))
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 3
        message = capsys.readouterr().err
        assert "0.1um along y and 0.1um along x, but none along z" in message
        (row,) = measured(tmp_path, path, "--spacing", message.split("--spacing '")[1].split("'")[0])
        assert_ball(row, "um", 0.1)

    def test_imagej_leaves_out_a_one(self, tmp_path: Path, capsys: Any) -> None:
        metadata = {"axes": "ZYX", "unit": "um"}
        path = write(tmp_path / "a.tif", ball(), imagej=True, resolution=(10, 10), metadata=metadata)
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 3
        assert "none along z (ImageJ leaves it out where it is 1 um)" in capsys.readouterr().err

    @pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"compression": "zlib"}])
    def test_other_forms_of_tiff(self, options: dict[str, Any], tmp_path: Path) -> None:
        (row,) = measured(tmp_path, write(tmp_path / "a.tif", ball().astype(np.uint16), **options))
        assert_ball(row)


class TestBox:
    def test_a_body_cut_by_the_box_is_closed_and_told(self, tmp_path: Path, capsys: Any) -> None:
        (row,) = measured(tmp_path, write(tmp_path / "a.tif", ball()[11:]))
        assert row["box_faces"] == "1"
        assert float(row["surface_area [voxel2]"]) == pytest.approx(AREA / 2 + np.pi * RADIUS**2, rel=0.04)
        assert "1 of 1 reach faces of their box (column box_faces) and are closed there" in capsys.readouterr().err

    def test_a_full_box_has_its_own_surface(self, tmp_path: Path, capsys: Any) -> None:
        (row,) = measured(tmp_path, write(tmp_path / "a.tif", np.full((20, 20, 20), 255, np.uint8)))
        assert float(row["surface_area [voxel2]"]) == pytest.approx(2400, rel=0.01)
        assert "one that reaches all six fills its box, or its mask is inverted" in capsys.readouterr().err


class TestLabels:
    @staticmethod
    def stack() -> np.ndarray:
        """Two touching balls of different sizes, and one apart."""
        labels = np.zeros((22, 22, 52), np.uint16)
        for number, first, radius in ((3, 0, 8.0), (7, 14, 6.0), (40000, 30, 8.0)):
            labels[:, :, first : first + 22][ball(radius) > 0] = number
        return labels

    @pytest.mark.parametrize("name", ["a.tif", "a.npz", "a.h5"])
    def test_a_row_for_each_label_under_its_number(self, name: str, tmp_path: Path) -> None:
        rows = measured(tmp_path, write(tmp_path / name, self.stack()), "--spacing", "1 um")
        assert [(row["cell"], row["label"]) for row in rows] == [(n, n) for n in ("3", "7", "40000")]
        for row, radius in zip(rows, (8.0, 6.0, 8.0), strict=True):
            assert_ball(row, "um", radius=radius)

    def test_a_surface_for_each_label(self, tmp_path: Path) -> None:
        path = write(tmp_path / "labels.tif", self.stack())
        words = ["mesh", str(path), "--spacing", "1 um", "-o"]
        assert run([*words, str(tmp_path / "a.ply")]) == 0
        assert sorted(p.name for p in tmp_path.glob("*.ply")) == ["a-3.ply", "a-40000.ply", "a-7.ply"]
        assert trimesh.load_mesh(tmp_path / "a-7.ply").volume == pytest.approx(VOLUME * (6 / 8) ** 3, rel=0.03)
        assert run([*words, str(tmp_path / "b.ply"), "--label", "7"]) == 0
        assert trimesh.load_mesh(tmp_path / "b.ply").bounds[0, 0] > -10

    def test_equal_labels_of_two_stacks_are_different_bodies(self, tmp_path: Path) -> None:
        (tmp_path / "stacks").mkdir()
        for name in ("one", "two"):
            write(tmp_path / "stacks" / f"{name}.tif", self.stack())
        assert run(["mesh", str(tmp_path / "stacks"), "-o", str(tmp_path / "a.ply")]) == 0
        names = sorted(p.name for p in tmp_path.glob("*.ply"))
        assert names == [f"a-{stack}-{label}.ply" for stack in ("one", "two") for label in (3, 40000, 7)]
        assert trimesh.load_mesh(tmp_path / "a-two-7.ply").volume == pytest.approx(VOLUME * (6 / 8) ** 3, rel=0.03)

    def test_an_unknown_label_is_refused_with_those_that_are_there(self, tmp_path: Path, capsys: Any) -> None:
        path = write(tmp_path / "labels.tif", self.stack())
        assert run(["mesh", str(path), "-o", str(tmp_path / "a.stl"), "--label", "4"]) == 2
        assert "has no label 4; --label takes one of 3, 7, 40000" in capsys.readouterr().err

    def test_nested_numbers_are_asked_for_and_the_remedies_work(self, tmp_path: Path, capsys: Any) -> None:
        values = (ball(9) > 0).astype(np.uint8) + (ball(5) > 0)
        path = write(tmp_path / "a.tif", values)
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 2
        assert (
            "numbers 1, 2, which may be labels of bodies or grey values; say which: --labels" in capsys.readouterr().err
        )
        assert len(measured(tmp_path, path, "--labels")) == 2
        assert len(measured(tmp_path, path, "--no-labels")) == 1


@pytest.mark.parametrize(("name", "status"), [("a.ome.tif", 0), ("a.h5", 0), ("a.mrc", 2)])
def test_numbers_of_labels_are_written_as_they_are_or_not_at_all(name: str, status: int, tmp_path: Path) -> None:
    labels = np.zeros((12, 12, 24), np.uint32)
    labels[3:9, 3:9, 3:9], labels[3:9, 3:9, 15:21] = 3, 2**24 + 1
    path = write(tmp_path / "labels.tif", labels)
    assert run(["volume", str(path), "-o", str(tmp_path / name)]) == status
    if status == 0:
        assert [row["label"] for row in measured(tmp_path, tmp_path / name)] == ["3", str(2**24 + 1)]


class TestChannels:
    @pytest.mark.parametrize("choice", ["Membrane", "1"])
    def test_a_channel_is_chosen_by_name_or_number(self, choice: str, tmp_path: Path) -> None:
        metadata = ome(dict.fromkeys("ZYX", 1.0), axes="CZYX")
        metadata["metadata"]["Channel"] = {"Name": ["DNA", "membrane"]}
        path = write(tmp_path / "a.ome.tif", np.stack([ball(4), ball()]), **metadata)
        (row,) = measured(tmp_path, path, "--channel", choice)
        assert_ball(row, "um")

    def test_channels_are_named_where_none_is_chosen(self, tmp_path: Path, capsys: Any) -> None:
        metadata = {"axes": "ZCYX", "spacing": 1.0, "unit": "um"}
        stack = np.stack([ball(4), ball()], axis=1)
        path = write(tmp_path / "a.tif", stack, imagej=True, resolution=(1, 1), metadata=metadata)
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 2
        message = "holds 2 quantities or channels: 0 (channel_0), 1 (channel_1); choose one"
        assert message in capsys.readouterr().err
        (row,) = measured(tmp_path, path, "--channel", "1")
        assert_ball(row, "um")

    def test_one_of_several_times_is_chosen(self, tmp_path: Path, capsys: Any) -> None:
        metadata = {"axes": "TZYX"}
        path = write(tmp_path / "a.tif", np.stack([ball(4), ball()]), imagej=True, metadata=metadata)
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 2
        assert "holds 2 times; choose one: --time 0 … 1" in capsys.readouterr().err
        (row,) = measured(tmp_path, path, "--time", "1")
        assert_ball(row)

    @pytest.mark.parametrize("name", ["a.tif", "a.npy"])
    def test_a_short_axis_without_a_name_is_one_of_channels(self, name: str, tmp_path: Path, capsys: Any) -> None:
        path = write(tmp_path / name, np.stack([ball(4), ball()]))
        (row,) = measured(tmp_path, path, "--channel", "1")
        assert_ball(row)
        assert "taken as (channel, z, y, x)" in capsys.readouterr().err


class TestFolders:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        """A folder as SHAPR has it, and the predictions of another program beside it."""
        for part in ("image", "mask", "obj"):
            (tmp_path / "data" / part).mkdir(parents=True)
        for number, radius in enumerate((6.0, 8.0)):
            solid = ball(radius)
            for part, values in (("obj", solid), ("mask", solid[11]), ("image", solid[11] // 2)):
                tifffile.imwrite(tmp_path / "data" / part / f"discocyte_{number}.tif", values)
        return tmp_path / "data"

    @pytest.mark.parametrize("place", [".", "obj"])
    def test_a_row_for_each_volume_of_a_folder(self, place: str, data: Path, tmp_path: Path) -> None:
        rows = measured(tmp_path, data / place)
        assert [(row["cell"], row["name"], row["label"]) for row in rows] == [
            ("0", "discocyte_0", "discocyte"),
            ("1", "discocyte_1", "discocyte"),
        ]
        for row, radius in zip(rows, (6.0, 8.0), strict=True):
            assert_ball(row, radius=radius)

    def test_the_truth_in_a_converted_file_is_measured(self, data: Path, tmp_path: Path) -> None:
        words = ["--kind", "shape", "--set", "acquisition.size=22"]
        assert run(["convert", str(data), "-o", str(tmp_path / "data.h5"), *words]) == 0
        rows = measured(tmp_path, tmp_path / "data.h5")
        assert [row["name"] for row in rows] == ["discocyte_0", "discocyte_1"]

    def test_a_damaged_file_is_reported_and_the_others_are_measured(
        self, data: Path, tmp_path: Path, capsys: Any
    ) -> None:
        damaged = data / "obj" / "discocyte_0.tif"
        damaged.write_bytes(damaged.read_bytes()[:900])
        rows = measured(tmp_path, data, status=3)
        assert [row["name"] for row in rows] == ["discocyte_1"]
        assert "discocyte_0.tif" in capsys.readouterr().err

    def test_a_folder_without_volumes_is_refused(self, tmp_path: Path, capsys: Any) -> None:
        (tmp_path / "empty").mkdir()
        assert run(["measure", str(tmp_path / "empty"), "-o", str(tmp_path / "t.csv")]) == 3
        assert "holds neither model.h5 nor volume.h5, and no volumes" in capsys.readouterr().err


class TestEvaluate:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        """True shapes, and the predictions of another program in a folder beside them."""
        for part in ("obj", "results"):
            (tmp_path / part).mkdir()
        for number, radius in ((1, 6.0), (2, 8.0), (10, 7.0)):
            tifffile.imwrite(tmp_path / "obj" / f"cell_{number}.tif", ball(radius))
            if number != 10:
                share = 0.1 + 0.8 * (ball(radius - 1) / 255.0)
                np.save(tmp_path / "results" / f"cell_{number}_pred.npy", share.astype(np.float32))
        return tmp_path

    def evaluated(self, capsys: Any, *words: str | Path) -> tuple[dict[str, float], str]:
        assert run(["evaluate", "--json", *map(str, words)]) == 0
        output = capsys.readouterr()
        return json.loads(output.out), output.err

    def test_another_programs_predictions_are_matched_by_name(self, data: Path, capsys: Any) -> None:
        words = [data / "results", data / "obj", "-o", data / "t.csv"]
        numbers, messages = self.evaluated(capsys, *words)
        assert numbers["cells"] == 2
        assert "left out, because the result lacks them: cell_10" in messages
        with (data / "t.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["name"]: float(row["overlap_error"]) for row in csv.DictReader(file)}
        for name, radius in (("cell_1", 6.0), ("cell_2", 8.0)):
            known, own = (np.count_nonzero(ball(r)) for r in (radius, radius - 1))
            assert rows[name] == pytest.approx(1 - own / known)

    def test_names_in_neither_are_refused(self, data: Path, capsys: Any) -> None:
        (data / "other").mkdir()
        tifffile.imwrite(data / "other" / "bead.tif", ball())
        assert run(["evaluate", str(data / "other"), str(data / "obj")]) == 3
        assert "holds bead, and the truth cell_1, cell_2, cell_10: no name is in both" in capsys.readouterr().err

    def test_labels_are_matched_by_number(self, tmp_path: Path, capsys: Any) -> None:
        truth = TestLabels.stack()
        moved = np.roll(np.where(truth == 7, 0, truth), 1, axis=0)
        paths = [write(tmp_path / f"{name}.tif", values) for name, values in (("own", moved), ("truth", truth))]
        numbers, messages = self.evaluated(capsys, *paths)
        assert numbers["cells"] == 2
        assert "truth.tif: left out, because the result lacks them: 7" in messages
        inside = truth == 3
        both, either = inside & np.roll(inside, 1, axis=0), inside | np.roll(inside, 1, axis=0)
        assert numbers["overlap_error"] == pytest.approx(1 - both.sum() / either.sum(), abs=0.03)

    def test_a_voxel_that_one_lacks_is_asked_for_and_the_remedy_works(self, tmp_path: Path, capsys: Any) -> None:
        plain = write(tmp_path / "own.tif", ball(7))
        known = write(tmp_path / "truth.ome.tif", ball(), **ome(dict.fromkeys("ZYX", 0.2)))
        assert run(["evaluate", str(plain), str(known)]) == 3
        message = capsys.readouterr().err
        assert "the result counts in voxels of unknown size, the truth in metres" in message
        spacing = message.split("--spacing '")[-1].split("'")[0]
        numbers, _ = self.evaluated(capsys, plain, known, "--spacing", spacing)
        assert numbers["hausdorff"] == pytest.approx(0.2e-6, rel=0.5)
        assert numbers["overlap_error"] == pytest.approx(1 - np.count_nonzero(ball(7)) / np.count_nonzero(ball()))


class TestKinds:
    def test_an_absolute_index_its_difference_and_whole_numbers_are_one_cell(self, tmp_path: Path, capsys: Any) -> None:
        index = 1.337 + 0.04 * (ball() > 0)
        forms = {"n": index.astype(np.float32), "dn": (index - 1.337).astype(np.float32), "n16": np.rint(index * 1e4)}
        masses = []
        for name, values in forms.items():
            path = write(tmp_path / f"{name}.tif", values.astype(np.uint16) if name == "n16" else values)
            words = [path, "--kind", "cell", "--spacing", "0.1 um"]
            (row,) = measured(tmp_path, *words, "--medium-index", "1.337")
            masses.append(float(row["dry_mass [pg]"]))
            assert "taken as" in capsys.readouterr().err
        np.testing.assert_allclose(masses, VOLUME * 1e-3 * 0.04 / 0.185, rtol=0.03)
        words = ["measure", str(tmp_path / "dn.tif"), "--kind", "cell", "-o", str(tmp_path / "t.csv"), "--force"]
        assert run(words) == 2
        assert "give the index of the medium, e.g. --medium-index 1.337" in capsys.readouterr().err

    def test_real_numbers_are_the_amplitude_of_a_crystal(self, tmp_path: Path, capsys: Any) -> None:
        path = write(tmp_path / "a.tif", np.clip(3 * (0.5 - distance()), 0, 3).astype(np.float32))
        assert run(["measure", str(path), "-o", str(tmp_path / "t.csv")]) == 2
        assert "give the kind of specimen: --kind cell, crystal or shape" in capsys.readouterr().err
        (row,) = measured(tmp_path, path, "--kind", "crystal", "--spacing", "5 nm")
        assert_ball(row, "nm", 5)
        assert "taken as the amplitude of the crystal" in capsys.readouterr().err

    def test_a_signed_distance_of_either_sign(self, tmp_path: Path) -> None:
        for values in (distance(), -distance()):
            (row,) = measured(tmp_path, write(tmp_path / "a.tif", values), "--kind", "shape")
            assert_ball(row)
