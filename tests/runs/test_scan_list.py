"""Lists of acquisitions: what counts as several, and the names of their runs."""

from pathlib import Path

import pytest

from unflat.recon.errors import DataError
from unflat.recon.runs.scan_list import is_several, list_scans


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def names(*paths: Path, **options: bool) -> list[str]:
    return [scan.name for scan in list_scans(paths, **options)]  # type: ignore[arg-type]


def test_files_with_a_whole_measurement_are_several_and_images_are_one(tmp_path: Path) -> None:
    touch(tmp_path / "scans", "b_10.h5", "b_2.nxs", "notes.txt", ".hidden.h5")
    touch(tmp_path / "images", "i1.tif", "i2.tif", "meta.h5")
    assert is_several([tmp_path / "scans"])
    assert is_several([tmp_path / "scans" / "b_*"])
    assert not is_several([tmp_path / "scans" / "*"]), "a text is among the matches"
    assert not is_several([tmp_path / "images"])
    assert not is_several([tmp_path / "images" / "*.tif"])
    assert not is_several([tmp_path / "scans" / "b_2.nxs"])
    assert is_several([tmp_path / "a.h5", tmp_path / "b.h5"])
    assert names(tmp_path / "scans") == ["b_2", "b_10"]
    assert names(tmp_path / "images") == ["images"]
    assert names(tmp_path / "images", each=True) == ["i1", "i2", "meta"]


def test_each_takes_folders_but_no_runs(tmp_path: Path) -> None:
    touch(tmp_path / "all", "s1/a.tif", "s2/a.tif", "RUN/DONE", "RUNS/batch.json", "run.yaml", "s3.ome.tif")
    assert names(tmp_path / "all", each=True) == ["s1", "s2", "s3"]


def test_names_in_common_are_told_apart_by_folder_by_ending_or_by_number(tmp_path: Path) -> None:
    one, two, three = touch(tmp_path, "mon/scan.h5", "tue/scan.h5", "tue/other.h5")
    assert names(one, two, three, one) == ["mon-scan", "tue-scan", "other"]
    both = touch(tmp_path / "x", "scan.h5", "scan.npz")
    assert names(*both) == ["scan-h5", "scan-npz"]
    deep = touch(tmp_path, "p/d/scan.h5", "q/d/Scan.h5")
    assert names(*deep) == ["scan-h5", "Scan-1"]


def test_a_master_with_the_files_of_its_data_is_one_acquisition(tmp_path: Path) -> None:
    touch(tmp_path / "one", "x_master.h5", "x_data_000001.h5", "x_data_000002.h5")
    touch(tmp_path / "two", "x_master.h5", "x_data_000001.h5", "y_master.h5", "y_data_000001.h5")
    touch(tmp_path / "alone", "x_data_000001.h5", "x_data_000002.h5")
    assert not is_several([tmp_path / "one"])
    assert names(tmp_path / "one" / "*.h5") == names(*(tmp_path / "one").iterdir()) == ["x_master"]
    assert is_several([tmp_path / "two"])
    assert names(tmp_path / "two") == names(tmp_path / "two", each=True) == ["x_master", "y_master"]
    assert names(tmp_path / "alone") == ["x_data_000001", "x_data_000002"], "no master lists them"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("...h5", "scan"),
        ("a ..h5", "a"),
        (".b.h5", "b"),
        ("con.h5", "_con"),
        ("Aux.1.h5", "_Aux.1"),
        ("results.csv.h5", "_results.csv"),
        ("batch.json.npz", "_batch.json"),
        ("console.h5", "console"),
        ("bad\udcff.h5", "bad_"),
    ],
)
def test_a_run_has_a_name_that_suits_a_folder_on_any_system(file: str, name: str) -> None:
    (scan,) = list_scans([Path(file)])
    assert (scan.name, scan.is_renamed) == (name, False)


def test_a_known_acquisition_keeps_its_name(tmp_path: Path) -> None:
    one, two = touch(tmp_path, "mon/scan.h5", "tue/scan.h5")
    listed = list_scans([one, two], known={one.resolve(): "scan"})
    assert [scan.name for scan in listed] == ["scan", "tue-scan"]


def test_a_pattern_without_a_match_is_a_fault_and_an_absent_file_is_its_reader_s(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file matches"):
        list_scans([tmp_path / "a*.h5"])
    assert names(tmp_path / "absent.h5", tmp_path / "b.h5") == ["absent", "b"]
