"""Verdicts on shapes: each criterion of a cell, the share of doubtful cells of a run, and the names of the cells."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from unflat.cli.main import run
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.shape.cell_table import numbers_of_draws
from unflat.recon.experiments.shape.network.inputs import to_network_input
from unflat.recon.experiments.shape.network.picture_quality import picture_numbers
from unflat.recon.experiments.shape.report import report_findings, verdict_remark
from unflat.recon.experiments.shape.verdict import CRITERIA, assess, assess_cell, summarize
from unflat.recon.io.hdf5_common import text_of
from unflat.recon.runs.verdict import Reason, Soundness, SpecimenVerdict, Verdict
from unflat.recon.visualization.report import report_html
from unflat.recon.visualization.run_data import RunData

USUAL = {
    "empty_draws": 0.0,
    "full_draws": 0.0,
    "novelty": 0.4,
    "contrast": 4.8,
    "mask_correlation": 0.96,
    "outline_at_border": 0.0,
    "pixel_deviation": 1.0,
    "section_agreement": 0.99,
    "sections_agreement": 0.97,
    "sections_contradiction": 0.05,
    "volume_spread": 0.2,
    "cut_area": 0.0,
}


def numbers_of(cells: list[dict[str, float]]) -> dict[str, float]:
    return summarize(cells, [assess_cell(cell) for cell in cells])


def test_a_usual_cell_is_sound_and_each_criterion_alone_makes_it_doubtful() -> None:
    assert set(USUAL) == {criterion.quantity for criterion in CRITERIA}
    assert assess(numbers_of([USUAL])) == []
    for criterion in CRITERIA:
        value = criterion.limit / 2 if criterion.below else criterion.limit * 1.5 + 0.1
        (reason,) = assess(numbers_of([USUAL | {criterion.quantity: value}]))
        assert reason.name == criterion.name
        assert reason.remedy
        assert not reason.fatal
        assert format(value, criterion.form) in reason.text


def test_a_run_fails_where_all_cells_have_only_empty_draws() -> None:
    empty = USUAL | {"empty_draws": 1.0}
    assert Verdict.of(assess(numbers_of([empty]))).soundness is Soundness.FAILED
    assert Verdict.of(assess(numbers_of([empty, empty]))).soundness is Soundness.FAILED
    assert Verdict.of(assess(numbers_of([empty, USUAL]))).soundness is Soundness.DOUBTFUL


def test_a_run_is_as_doubtful_as_a_notable_share_of_its_cells_which_it_names() -> None:
    novel = USUAL | {"novelty": 3.0}
    assert assess(numbers_of([novel, *[USUAL] * 9])) == []
    cells = [novel, novel | {"novelty": 8.0}, *[USUAL] * 6]
    numbers = numbers_of(cells)
    assert numbers["cells_doubtful"] == numbers["cells_unlike_training"] == 2
    specimens = [SpecimenVerdict(f"cell_{i}", assess_cell(cell)) for i, cell in enumerate(cells)]
    (reason,) = Verdict.of(assess(numbers)).with_names(specimens).reasons
    assert reason.text.startswith("2 of 8 cells are unlike")
    assert "up to 8 times" in reason.text
    assert reason.text.endswith("(cell_0, cell_1)")


@pytest.mark.parametrize(
    ("cells", "doubtful", "remark"),
    [
        (12, 2, "2 of 12 cells are doubtful, see below"),
        (12, 1, "1 of 12 cells is doubtful, see below"),
        (12, 0, ""),
        (1, 1, ""),
    ],
)
def test_the_report_counts_the_doubtful_cells_of_a_run_of_several(cells: int, doubtful: int, remark: str) -> None:
    run_data = RunData("RUN", None, metrics={"cells": float(cells), "cells_doubtful": float(doubtful)})
    assert verdict_remark(run_data) == remark
    page, _ = report_html(replace(run_data, verdict=Verdict.of([])), get_experiment("shape"))
    expected = "this result as a whole was found" + (f"; {remark}" if remark else "")
    assert expected in page
    assert ("see below" in page) == bool(remark)


def test_findings_on_few_doubtful_cells_are_as_neutral_as_the_verdict(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("name,verdict_reasons\na,unlike\nb,\n", encoding="utf-8")
    metrics: dict[str, float | None] = {"cells": 12.0, "cells_doubtful": 1.0, "cells_unlike_training": 1.0}
    reason = Reason("unlike-training", "the cells are unlike", "train with them")
    for verdict, levels in ((Verdict.of([]), ["plain", "plain"]), (Verdict.of([reason]), ["poor", "fair"])):
        cards = report_findings(RunData("RUN", None, metrics=metrics, folder=tmp_path, verdict=verdict))
        assert [(one.title, one.value) for one in cards] == [
            ("Training", "1 of 12 novel"),
            ("Doubtful cells", "1 of 12"),
        ]
        assert [one.level for one in cards] == levels
        assert cards[1].text == "a: unlike."


def test_unknown_numbers_give_no_reason() -> None:
    assert assess_cell({}).soundness is Soundness.SOUND
    assert assess({}) == []


def disc(shift: int = 0, radius: float = 15.0) -> np.ndarray:
    y, x = np.mgrid[:64, :64] - 31.5
    return np.hypot(y, x - shift) < radius


def test_the_numbers_of_a_picture_tell_a_fitting_mask_from_a_wrong_one() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (64, 64))
    picture = disc() + noise

    def numbers(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
        return picture_numbers(to_network_input(image, mask.astype(float)), 0.34e-6, 0.17e-6)

    fitting = numbers(picture, disc())
    assert fitting["contrast"] > 10
    assert fitting["mask_correlation"] > 0.95
    assert fitting["outline_at_border"] == 0
    assert fitting["pixel_deviation"] == pytest.approx(2)
    assert numbers(picture, disc(12))["mask_correlation"] < 0.7
    assert numbers(picture, disc(0, 25))["mask_correlation"] < 0.7
    assert numbers(1 - picture, disc())["contrast"] < 0
    assert numbers(noise, disc())["contrast"] < 1
    assert numbers(np.ones((64, 64)), disc())["contrast"] == 0
    assert numbers(np.ones((64, 64)), disc())["mask_correlation"] == 0
    assert numbers(picture, disc(25))["outline_at_border"] > 0.1


def test_the_numbers_of_draws_count_empty_full_and_cut_ones() -> None:
    draws = np.zeros((4, 8, 8, 8), bool)
    draws[1] = True
    draws[2, 2:6, 2:6, 2:6] = True
    draws[3, :, 2:6, 2:6] = True
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    numbers = numbers_of_draws(draws, mask)
    assert numbers["empty_draws"] == numbers["full_draws"] == 0.25
    assert numbers["cut_area"] == pytest.approx((64 / 16 + 16 / 16) / 4)
    assert numbers["section_agreement"] == pytest.approx((0 + 0.25 + 1 + 1) / 4)
    volumes = np.array([0, 512, 64, 128])
    assert numbers["volume_spread"] == pytest.approx(volumes.std(ddof=1) / volumes.mean())
    assert "volume_spread" not in numbers_of_draws(draws[:1], mask)


def test_predict_writes_the_verdict_of_each_cell_and_of_the_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:64, :64] - 31.5
    for part in ("image", "mask"):
        (tmp_path / "cells" / part).mkdir(parents=True)
    for number, dark in enumerate((False, True)):
        inside = (y / 14) ** 2 + (x / 18) ** 2 < 1
        picture = (120 * (1 - inside if dark else inside) + 30 + rng.normal(0, 3, inside.shape)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "cells" / "image" / f"n_{number}.tif", picture)
        tifffile.imwrite(tmp_path / "cells" / "mask" / f"n_{number}.tif", (255 * inside).astype(np.uint8))
    (tmp_path / "s.yaml").write_text("kind: shape\nvolume: {edge: 16}\npredict: {draws: 1, steps: 1}\n")
    folder = tmp_path / "RUN"
    assert run(["predict", str(tmp_path / "s.yaml"), str(tmp_path / "cells"), "-o", str(folder), "-q"]) == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["verdict"] == "doubtful"
    reasons = {reason["name"]: reason["text"] for reason in metrics["verdict_reasons"]}
    assert reasons["unlike-training"].endswith("(n_0, n_1)")
    assert reasons["no-contrast"].endswith("(n_1)")
    rows = list(csv.DictReader((folder / "cells.csv").read_text("utf-8").splitlines()))
    assert [row["verdict"] for row in rows] == ["doubtful", "doubtful"]
    assert "brighter" in rows[1]["verdict_reasons"]
    assert "brighter" not in rows[0]["verdict_reasons"]
    with h5py.File(folder / "models" / "n_0.h5") as file:
        assert "brighter" not in text_of(file.attrs["verdict_reasons"])
    with h5py.File(folder / "volume.h5") as file:
        assert "brighter" in text_of(file.attrs["verdict_reasons"])
    report = (folder / "report.html").read_text("utf-8")
    assert "Doubtful cells" in report
    assert "n_1: " in report
    assert get_experiment("shape").assess(metrics)
