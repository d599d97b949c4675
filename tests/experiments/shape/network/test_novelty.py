"""Cells unlike those that a network was trained on are named; those of the training are not."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from unflat.cli.main import run
from unflat.recon.experiments.shape.config import ShapeSettings
from unflat.recon.experiments.shape.network.inputs import PictureInput, to_network_input
from unflat.recon.experiments.shape.network.novelty import detect_novelty
from unflat.recon.experiments.shape.network.thickness_prior import HeightGroup, ThicknessPrior
from unflat.recon.experiments.shape.read import read
from unflat.recon.io.network_file import read as read_network


def shipped_prior() -> ThicknessPrior:
    return ThicknessPrior.from_arrays(read_network("shipped", "shape").statistics)


def nuclei(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Smooth, evenly bright ellipses on a bright background: pictures and masks of 8 bits."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:64, :64] - 31.5
    cells = []
    for _ in range(count):
        a, b, turn = *rng.uniform(14, 22, 2), rng.uniform(0, np.pi)
        rows, columns = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        section = (rows / a) ** 2 + (columns / b) ** 2 <= 1
        picture = ndimage.gaussian_filter(section * 150.0, 1) + 20 + rng.normal(0, 4, section.shape)
        cells.append((picture.clip(0, 255).astype(np.uint8), (255 * section).astype(np.uint8)))
    return cells


def test_cells_unlike_the_training_are_novel() -> None:
    pictures = [to_network_input(image / 255.0, mask / 255.0) for image, mask in nuclei(10)]
    novelty = detect_novelty(shipped_prior(), [f"nucleus_{i}" for i in range(10)], pictures)
    assert novelty.count == 10
    assert novelty.together is not None
    assert novelty.together.is_novel
    warning = novelty.warning()
    assert warning.startswith("10 of 10 cells are unlike those that the network was trained on")
    assert "bright rim" in warning
    one = detect_novelty(shipped_prior(), ["n"], pictures[:1])
    assert one.warning().startswith("the cell is unlike")


def test_real_cells_left_out_of_the_training_are_not_novel(shared_data: Path) -> None:
    cells = read(ShapeSettings(kind="shape"), shared_data / "shapes" / "red_blood_cells_108.zip")
    pictures = [to_network_input(i, m) for i, m in zip(cells["images"], cells["mask"], strict=True)]
    names, prior = list(cells["name"]), shipped_prior()
    assert detect_novelty(prior, names, pictures).count == 0
    real, order = prior.groups["real"], np.random.default_rng(0).permutation(len(names))
    alarms = 0
    for fold in range(5):
        out = order[fold::5]
        learned = np.setdiff1d(order, out)
        group = HeightGroup(real.features[learned], real.log_heights[learned], real.hyperparameters)
        rest = ThicknessPrior({"real": group, "simulated": prior.groups["simulated"]})
        alarms += detect_novelty(rest, [names[i] for i in out], [pictures[i] for i in out]).count
    assert alarms <= 1  # One cell has a black interior unlike that of all others.


def test_a_training_cell_is_never_novel() -> None:
    prior = shipped_prior()
    group = prior.groups["real"]
    distances = [group.squared_distance(own) for own in group.features]
    assert max(distances) > 28
    assert max(group.distance_to_nearest(own) for own in group.features) < 1e-9


def test_no_prior_gives_no_alarm() -> None:
    picture = PictureInput(np.ones((64, 64)), np.hypot(*(np.indices((64, 64)) - 32.0)) - 12)
    assert detect_novelty(ThicknessPrior({}), ["a"], [picture]).count == 0


def test_check_names_the_training_and_the_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, parts in enumerate(nuclei(2)):
        for part, values in zip(("image", "mask"), parts, strict=True):
            (tmp_path / "nuclei" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "nuclei" / part / f"nucleus_{number}.tif", values)
    assert run(["init", "shape", "-o", str(tmp_path / "s.yaml")]) == 0
    assert run(["check", str(tmp_path / "s.yaml"), str(tmp_path / "nuclei")]) == 0
    printed = capsys.readouterr()
    assert "the network was trained on 108 real red blood cells of 4 classes" in printed.out
    assert "2 of 2 cells are unlike those that the network was trained on" in printed.err
