"""Arrays that a pattern names together, and the numbered parts of a scan."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io.hdf5 import Hdf5ArrayTree
from unflat.recon.io.hdf5_file import open_careful
from unflat.recon.io.lazy_arrays import LazyArray, LazyArrays
from unflat.recon.io.patterns import find_array, match_pattern

FRAMES = np.arange(10 * 3 * 4).reshape(10, 3, 4)


def tree(arrays: dict[str, Any], units: dict[str, str] | None = None) -> LazyArrays:
    attributes = {name: {"units": unit} for name, unit in (units or {}).items()}
    return LazyArrays(
        Path("scan.h5"), "HDF5", {k: LazyArray.of(np.asarray(v), attributes.get(k, {})) for k, v in arrays.items()}
    )


def parts(*sizes: int) -> dict[str, Any]:
    ends = np.cumsum((0, *sizes))
    return {f"/d/data_{i + 1:06d}": FRAMES[ends[i] : ends[i + 1]] for i in range(len(sizes))}


@pytest.mark.parametrize("path", ["/d/data_*", "/d/data_000001", "/d/data_0000??", "/*/data_*"])
def test_parts_are_joined_in_the_order_of_their_numbers(path: str) -> None:
    array = find_array(tree(parts(4, 4, 2)), path, 3)
    assert array is not None
    assert array.origin == "/d/data_000001 to data_000003 (3 parts)"
    np.testing.assert_array_equal(array.read(), FRAMES)


@pytest.mark.parametrize("index", [slice(2, 9), slice(0, 10, 3), [9, 0, 5, 4], [3], slice(4, 4)])
def test_any_selection_crosses_the_parts(index: Any) -> None:
    array = find_array(tree(parts(4, 4, 2)), "/d/data_*", 3)
    assert array is not None
    np.testing.assert_array_equal(array.fetch((index, slice(1, 3), [2, 0])), FRAMES[index][:, 1:3][:, :, [2, 0]])


def test_a_part_named_by_itself_is_taken_alone() -> None:
    array = find_array(tree(parts(4, 4, 2)), "/d/data_000002", 3)
    assert array is not None
    assert array.shape == (4, 3, 4)


def test_groups_are_stacked_by_number_and_not_by_text() -> None:
    arrays = {f"/image_{i}/phase": FRAMES[i] for i in range(10)} | {"/image_10/phase": FRAMES[0] + 1000}
    images = match_pattern(tree(arrays), "/image_*/phase", 3)
    numbers = match_pattern(tree({f"/image_{i}/z": 10.0 - i for i in range(11)}), "/image_*/z", 1)
    assert images is not None
    assert numbers is not None
    np.testing.assert_array_equal(images.read()[:, 0, 0], [*FRAMES[:, 0, 0], 1000])
    np.testing.assert_array_equal(numbers.read(), 10.0 - np.arange(11))


def test_attributes_of_groups_are_stacked(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in (3, 2, 1):
            file[f"view_{i}/image"] = np.full((3, 4), i)
            file[f"view_{i}"].attrs["defocus"] = 10.0 * i
        array = find_array(Hdf5ArrayTree(tmp_path / "a.h5", file), "/view_*", 1, "defocus")
        assert array is not None
        np.testing.assert_array_equal(array.read(), [10, 20, 30])


@pytest.mark.parametrize(
    ("arrays", "pattern", "message"),
    [
        ({k: v for k, v in parts(4, 4, 2).items() if "2" not in k}, "/d/data_*", "missing: /d/data_000002; copy it"),
        ({k: v for k, v in parts(4, 4, 2).items() if "1" not in k}, "/d/data_*", "missing: /d/data_000001"),
        ({f"/f/image_{i}": FRAMES[i] for i in (1, 2, 4)}, "/f/image_*", r"missing: /f/image_3.*'/f/image_\[124\]'"),
        ({"/f/a1": FRAMES[0], "/f/a01": FRAMES[1]}, "/f/a*", "the number 1 occurs twice"),
        (parts(4) | {"/d/data_000002": FRAMES[:, :2]}, "/d/data_*", r"data_000002: has the shape \(10, 2, 4\), and"),
    ],
)
def test_a_missing_or_strange_part_is_named(arrays: dict[str, Any], pattern: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_array(tree(arrays), pattern, 3)


def test_the_remedy_for_a_missing_part_works() -> None:
    array = find_array(tree({f"/f/image_{i}": FRAMES[i] for i in (1, 2, 4)}), "/f/image_[124]", 3)
    assert array is not None
    np.testing.assert_array_equal(array.read(), FRAMES[[1, 2, 4]])


def test_every_second_number_is_no_gap() -> None:
    array = find_array(tree({f"/f/image_{i}": FRAMES[i] for i in (0, 2, 4, 6)}), "/f/image_*", 3)
    assert array is not None
    np.testing.assert_array_equal(array.read(), FRAMES[:8:2])


def test_parts_of_different_units_are_refused() -> None:
    with pytest.raises(DataError, match=r"/b_2/x: has the shape \(\) mm, and /b_1/x \(\) m"):
        match_pattern(tree({"/b_1/x": 1.0, "/b_2/x": 2.0}, {"/b_1/x": "m", "/b_2/x": "mm"}), "/b_*/x", 1)


def test_a_file_of_a_scan_that_was_not_copied_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["data"] = FRAMES[:4]
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["d/data_000001"] = h5py.ExternalLink("one.h5", "data")
        file["d/data_000002"] = h5py.ExternalLink("two.h5", "data")
    with open_careful(tmp_path / "master.h5") as file, pytest.raises(DataError, match=r"data_000002: .*two\.h5"):
        find_array(Hdf5ArrayTree(tmp_path / "master.h5", file), "/d/data_000001", 3)


def test_the_numbers_of_images_must_go_on(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, low, high in (("data_000001", 1, 4), ("data_000002", 9, 12)):
            file[f"d/{name}"] = FRAMES[:4]
            file[f"d/{name}"].attrs.update({"image_nr_low": low, "image_nr_high": high})
        with pytest.raises(DataError, match=r"data_000002: begins with image 9, and .* ends with image 4"):
            find_array(Hdf5ArrayTree(tmp_path / "a.h5", file), "/d/data_*", 3)
