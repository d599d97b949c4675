"""A report stands alone, tells the truth about how a run ended, and never fails for want of a part."""

import base64
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import h5py
import imageio.v2 as imageio
import numpy as np
import pytest
from click.testing import CliRunner

from unflat.cli.evaluate import command as evaluate
from unflat.cli.report import command as report
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.report import write_run_report
from unflat.recon.experiments.report_measures import measure_run
from unflat.recon.frame import ModelFrame
from unflat.recon.io.model_file import write_model
from unflat.recon.io.volume_formats import save
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.runs.launch import CommandLine, Launch
from unflat.recon.sampled import Quantity
from unflat.recon.visualization.run_data import gather
from unflat.recon.volume import Volume

MEDIUM = 1.337
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and gathers text, headings and addresses."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.levels: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag == "li":
            self.levels += [value or "" for name, value in attrs if name == "class"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"  # noqa: PT018
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def specimen() -> Model:
    """A ball of 1 µm in a box of 4 × 6 × 6 µm."""
    shape, edge = (20, 30, 30), 0.2e-6
    z, y, x = ((np.arange(n) - (n - 1) / 2) * edge for n in shape)
    ball = 0.02 * np.exp(-0.5 * (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) / 0.6e-6**2)
    architecture = {"type": "voxels", "version": 1, "shape": list(shape), "outputs": 1, "sign": "any"}
    frame = ModelFrame((-2e-6, -3e-6, -3e-6), (2e-6, 3e-6, 3e-6), (edge, edge, edge), {"medium_index": MEDIUM})
    quantity = ModelQuantity("refractive_index", "1", "real part of the refractive index", MEDIUM, 0.01)
    provenance = {
        "command": f"unflat fit run.yaml {Path.home()}/scan.h5 -o RUN",
        "seed": 3,
        "inputs": {"scan.h5": "ab12"},
    }
    return Model(architecture, {"grid": (ball[None] / 0.01).astype(np.float32)}, frame, (quantity,), "cell", provenance)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run, as `unflat fit` leaves it."""
    folder = tmp_path / "RUN"
    (folder / "figures").mkdir(parents=True)
    write_model(specimen(), folder / "model.h5")
    (folder / "config.yaml").write_text("kind: cell\nseed: 3 # <b>not bold</b>\n")
    records = [{"step": i, "loss": 1 / (i + 1), "withheld": 0.2 if i % 10 == 0 else None} for i in range(50)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records) + '{"step": 5')
    numbers = {
        "residual_withheld": 0.05,
        "residual_fitted": 0.045,
        "views": 24,
        "snr": 14.25,
        "ncc": 0.962,
        "psnr": float("inf"),
    }
    (folder / "metrics.json").write_text(json.dumps(numbers))
    images = np.random.default_rng(0).normal(1, 0.1, size=(9, 24, 32)).astype(np.float32)
    with h5py.File(folder / "predictions.h5", "w") as file:
        file["views"], file["withheld"] = np.arange(9) * 4, np.arange(9) % 4 == 3
        file["measured"], file["modelled"] = images, images + 0.01
    (folder / "debug.log").write_text(
        "2026-01-01 10:00:00,000 WARNING unflat.recon.optimize: 8 sources lie at the pupil's edge\n"
        "2026-01-01 10:00:01,000 INFO    unflat.recon.optimize: all is well\n"
        "2026-01-01 10:00:02,000 WARNING unflat.recon.optimize: 8 sources lie at the pupil's edge\n"
    )
    imageio.imwrite(folder / "figures" / "truth_and_result.png", np.zeros((9, 9, 3), np.uint8))
    (folder / "DONE").write_text("300 steps\n")
    return folder


def rendered(run: Path) -> str:
    """Render the report of a run, whose folder stays as it is."""
    return write_run_report(run, run.parent / f"{run.name}.html").read_text(encoding="utf-8")


def test_the_report_needs_nothing_but_itself(run: Path, tmp_path: Path) -> None:
    text = write_run_report(run).read_text(encoding="utf-8")
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    words = re.sub(r'data:image/png;base64,[\w+/=]+|"[\w+/=]{200,}"', "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script[^>]* src|<link|import ?\(|fetch\(", words)
    assert "default-src 'none'" in text  # The browser refuses what would be loaded from elsewhere.
    assert str(tmp_path) not in text
    assert str(Path.home()) not in page.text
    for address in page.addresses:
        picture = imageio.imread(base64.b64decode(address.partition(",")[2]))
        assert min(picture.shape[:2]) >= 9
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_report_tells_all_that_is_known(run: Path) -> None:
    page = Page(rendered(run))
    for words in (
        "RUN",
        "DONE",
        "Withheld residual",
        "1.11 times that of the fitted views",
        "2 views that the fit never saw",
        "NCC 0.962",
        "SNR of the contrast",
        "14.25 dB",
        "∞",
        "6 of 24 views (predictions.h5 holds 9 of them: the withheld ones and a few that were fitted); 2 were withheld",
        "Orthogonal slices",
        "Depths",
        "Course of the fit",
        "Truth and result",
        "8 sources lie at the pupil's edge",
        "seed: 3 # <b>not bold</b>",
        "ab12",
    ):
        assert words in page.text, words
    assert page.text.count("8 sources lie") == 1
    assert "all is well" not in page.text
    assert page.levels[:3] == ["good", "good", "good"]


@pytest.mark.parametrize(
    "part", ["config.yaml", "metrics.jsonl", "metrics.json", "predictions.h5", "debug.log", "figures", "DONE"]
)
def test_each_part_may_be_missing(run: Path, part: str) -> None:
    (run / "model.h5").unlink()
    target = run / part
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    page = Page(rendered(run))
    assert "there is no model and no volume" in page.text
    assert ("NCC" in page.text) == (part != "metrics.json")


def test_torn_parts_are_named_and_the_rest_is_shown(run: Path) -> None:
    for part in ("model.h5", "metrics.json", "predictions.h5"):
        (run / part).write_bytes((run / part).read_bytes()[:60])
    page = Page(rendered(run))
    for part in ("model.h5", "metrics.json", "predictions.h5"):
        assert f"{part}" in page.text.partition("Not shown")[2]
    assert "Course of the fit" in page.text


@pytest.mark.parametrize(
    ("sentinel", "reason", "expected", "level"),
    [
        ("FAILED", "the loss is not finite after step 12", "Why it failed", "poor"),
        ("STOPPED", "the time limit was reached", "--resume goes on from there", "fair"),
        (None, "", "still going on, or it was killed", "fair"),
    ],
)
def test_a_run_that_did_not_end_well_says_so(
    tmp_path: Path, sentinel: str | None, reason: str, expected: str, level: str
) -> None:
    (tmp_path / "config.yaml").write_text("kind: cell\n")
    if sentinel:
        (tmp_path / sentinel).write_text(reason + "\n")
    page = Page(rendered(tmp_path))
    assert expected in page.text
    assert reason in page.text
    assert page.levels[0] == level
    assert "there is no model" in page.text


def test_what_is_no_run_gets_no_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run"):
        rendered(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        rendered(tmp_path / "absent")


def test_a_model_that_only_learnt_the_noise_is_not_praised(run: Path) -> None:
    (run / "model.h5").unlink()
    (run / "metrics.json").write_text(json.dumps({"residual_withheld": 0.3, "residual_fitted": 0.05}))
    page = Page(rendered(run))
    assert page.levels[1] == "poor"
    assert "does not carry over" in page.text


def test_the_report_command_keeps_a_former_report(run: Path, tmp_path: Path) -> None:
    (run / "model.h5").unlink()
    runner = CliRunner()
    assert "wrote" in runner.invoke(report, [str(run)]).output
    assert isinstance(runner.invoke(report, [str(run)]).exception, ConfigError)
    assert runner.invoke(report, [str(run), "--force"]).exit_code == 0
    assert runner.invoke(report, [str(run), "-o", str(tmp_path / "other.html")]).exit_code == 0
    assert Page((tmp_path / "other.html").read_text(encoding="utf-8")).addresses
    refusal = runner.invoke(report, [str(run), "-o", str(tmp_path / "other.txt")]).exception
    assert str(refusal) == f"{tmp_path}/other.txt: a report is a page of HTML; call it other.html"
    assert not (tmp_path / "other.txt").exists()


def truth_file(folder: Path) -> Path:
    volume = specimen().volume()
    index = Quantity("refractive_index", "1", "real part of the refractive index")
    path = folder / "truth.h5"
    save(Volume("cell", volume.z, volume.y, volume.x, dict(volume.values), (index,), dict(volume.attributes)), path)
    return path


@pytest.mark.parametrize("result", ["RUN", "RUN/model.h5", "truth.h5"])
def test_evaluate_takes_runs_models_and_volumes(run: Path, tmp_path: Path, result: str) -> None:
    truth = truth_file(tmp_path)
    outcome = CliRunner().invoke(evaluate, [str(tmp_path / result), str(truth), "--json"])
    assert outcome.exit_code == 0, outcome.exception
    numbers = json.loads(outcome.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert numbers["ncc"] == pytest.approx(1)
    assert numbers["snr"] is None or numbers["snr"] > 60
    table = CliRunner().invoke(evaluate, [str(tmp_path / result), str(truth)])
    assert "NRMSE / range" in table.stdout


def test_evaluate_moves_a_result_onto_the_truth_when_asked(tmp_path: Path) -> None:
    truth = truth_file(tmp_path)
    volume = specimen().volume()
    moved = Volume(
        "cell", volume.z, volume.y, volume.x + 0.1e-6, dict(volume.values), volume.quantities, dict(volume.attributes)
    )
    save(moved, tmp_path / "moved.h5")
    arguments = [str(tmp_path / "moved.h5"), str(truth), "--json"]
    plain = json.loads(CliRunner().invoke(evaluate, arguments).stdout)
    registered = json.loads(CliRunner().invoke(evaluate, [*arguments, "--register"]).stdout)
    assert registered["shift_x"] == pytest.approx(-0.1e-6, abs=1.1e-8)
    assert registered["snr"] is None or registered["snr"] > plain["snr"] + 10  # None is infinite: the samples coincide


def test_a_report_names_command_versions_and_measures(run: Path) -> None:
    save(specimen().volume(specimen().grid()), run / "volume.h5")
    Launch(CommandLine(("fit", "run.yaml", "../../data/scan.h5", "-o", "RUN"), "..")).write(run)
    text = Page(rendered(run)).text
    assert "unflat fit run.yaml '…/scan.h5' -o RUN" in text
    assert "given in .., relative to the run's folder" in text
    assert re.search(r"Volume [\d.]+ µm³ volume enclosed by the surface", text)
    assert re.search(r"Dry mass [\d.]+ pg within the surface", text)


def test_a_scan_of_several_names_the_command_of_all(run: Path) -> None:
    (run.parent / "batch.json").write_text("{}")
    Launch(CommandLine(("fit", "run.yaml", "a.h5", "b.h5", "-o", "RUNS"), "../..")).write(run.parent)
    Launch().write(run)
    text = Page(rendered(run)).text
    assert "unflat fit run.yaml a.h5 b.h5 -o RUNS" in text
    assert "given in ../.., relative to the batch's folder" in text


def test_a_volume_too_large_for_measures_is_said_to_be(run: Path) -> None:
    samples = Volume("cell", np.arange(1e4), np.arange(500.0), np.zeros(1), {}, (), {})
    large = np.broadcast_to(np.float32(MEDIUM), (10_000, 500, 1))
    quantity = Quantity("refractive_index", "1", "")
    volume = replace(samples, values={quantity.name: large}, quantities=(quantity,))
    with pytest.raises(DataError, match=r"5\.0 million samples.*unflat measure RUN"):
        measure_run(get_experiment("cell").measure, replace(gather(run), result=volume))


def test_a_report_compares_with_a_second_run_and_with_a_truth(run: Path, tmp_path: Path) -> None:
    second = tmp_path / "SECOND" / "RUN"  # Of the same name, as the runs of two demos are.
    shutil.copytree(run, second)
    (second / "metrics.json").write_text(json.dumps({"residual_withheld": 0.03, "snr": 14.25}))
    output = tmp_path / "two.html"
    done = CliRunner().invoke(report, [str(run), "--compare", str(second), "-o", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    text = Page(output.read_text("utf-8")).text
    assert "Compared with the run SECOND/RUN" in text
    assert f"SECOND/RUN, which is the reference, {tmp_path.name}/RUN, and where they differ" in text
    assert "Metric, with SECOND/RUN as reference" in text
    assert f"Metric of each run {tmp_path.name}/RUN SECOND/RUN " in text
    assert str(tmp_path) not in text
    compared = text[text.index("Compared with") : text.index("Metric of each run")]
    assert not re.search(r"\btru(e|th)\b", compared)
    assert re.search(r"Withheld residual 0\.05 ✓ 0\.03 ↓ ", text)
    assert re.search(r"NCC 1 ↑ ", text)  # The two results are the same.
    truth = tmp_path / "truth.h5"
    save(specimen().volume(specimen().grid()), truth)
    done = CliRunner().invoke(report, [str(run), "--compare", str(truth), "-o", str(output), "--force"])
    assert done.exit_code == 0, done.output
    page = Page(output.read_text("utf-8"))
    assert "Compared with the truth, truth.h5" in page.text
    assert "as reference" not in page.text
    assert "Not shown" not in page.text


def test_a_run_is_not_compared_with_itself_or_another_kind(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is the run itself"):
        write_run_report(run, tmp_path / "a.html", compare=run)
    second = tmp_path / "SECOND"
    shutil.copytree(run, second)
    crystal = Volume(
        "crystal", *([np.arange(4.0)] * 3), {"amplitude": np.ones((4, 4, 4))}, (Quantity("amplitude", "1", ""),)
    )
    (second / "model.h5").unlink()
    save(crystal, second / "volume.h5")
    with pytest.raises(ConfigError, match="is a run of a crystal"):
        write_run_report(run, tmp_path / "a.html", compare=second)
