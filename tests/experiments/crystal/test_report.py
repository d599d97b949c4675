"""Report and summary of a crystal, with and without withheld pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.figures import draw_slices, draw_starts, plane_letters
from unflat.recon.experiments.crystal.phase import phase
from unflat.recon.experiments.crystal.report import report_figures, report_findings
from unflat.recon.experiments.crystal.simulate import simulate
from unflat.recon.experiments.crystal.summary import summary_line
from unflat.recon.runs import RunContext, RunFolder, Sentinel
from unflat.recon.sampled import Quantity
from unflat.recon.visualization.colour_scale import ColourScale
from unflat.recon.visualization.run_data import gather
from unflat.recon.volume import Volume

QUICK: dict[str, Any] = {
    "recipe": [{"er": {"iterations": 20}}],
    "starts": 2,
    "keep": 1,
    "refine": {"iterations": 5, "margin": 0},
}


@pytest.mark.parametrize(
    ("free", "name", "judged"), [(0.05, "Free likelihood", "withheld"), (0.0, "Likelihood", "fitted")]
)
def test_fitted_pixels_are_not_reported_as_withheld(tmp_path: Path, free: float, name: str, judged: str) -> None:
    simulated = {"shape": [24, 24, 24], "flaws": [], "strains": []}
    section = QUICK | {"free": free, "gate": 1e-6}
    settings = CrystalSettings.model_validate({"kind": "crystal", "phase": section, "simulate": simulated})
    with RunFolder.create(tmp_path / "RUN") as folder:
        folder.write_config("kind: crystal\n")
        outcome = phase(RunContext(settings, folder, simulate(settings)))
        folder.write_metrics(outcome.numbers)
        assert outcome.gate is not None
        assert not outcome.gate.passed
        assert outcome.gate.title == f"Poisson deviance of the {judged} pixels"
        folder.finish(Sentinel.DONE, "done")
    run = gather(tmp_path / "RUN")
    assert ("llk_free" in run.metrics) is (free > 0)
    assert all(("llk_free" in record) is (free > 0) for record in run.records)
    findings = report_findings(run)
    assert findings[0].title == "Misfit over noise"
    likelihood = next(finding for finding in findings if finding.title == name)
    assert ("None were withheld" in likelihood.text) is (free == 0)
    assert (", free " in summary_line({k: v for k, v in run.metrics.items() if v is not None})) is (free > 0)
    figure_of_starts = next(drawing for drawing in report_figures(run) if drawing.title == "Starts")
    assert f"Likelihood of the {judged} pixels" in figure_of_starts.caption
    figure = draw_starts(list(run.records), "llk_free" if free else "llk")
    assert np.isfinite([bar.get_height() for bar in figure.axes[0].patches]).all()


def test_planes_across_x_have_y_down_as_every_other_figure() -> None:
    values = np.arange(60.0).reshape(3, 4, 5)
    axes = [1e-8 * np.arange(n) for n in values.shape]
    arrays = {"amplitude": values, "support": np.ones(values.shape)}
    volume = Volume("crystal", *axes, arrays, tuple(Quantity(name, "1", "") for name in arrays))
    across_x = draw_slices(volume, "amplitude", ColourScale(0.0, 60.0)).axes[2]
    assert (across_x.get_xlabel(), across_x.get_ylabel()) == ("$z$ (nm)", "$y$ (nm)")
    np.testing.assert_array_equal(across_x.images[0].get_array(), values[:, :, 2].T)
    assert plane_letters("x") == ("y", "frame")
