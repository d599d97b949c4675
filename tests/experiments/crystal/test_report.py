"""What a crystal's report and the screen say, with withheld pixels and without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.figures import draw_starts
from unflat.recon.experiments.crystal.phase import phase
from unflat.recon.experiments.crystal.report import report_figures, report_findings
from unflat.recon.experiments.crystal.simulate import simulate
from unflat.recon.experiments.crystal.summary import summary_line
from unflat.recon.runs import RunContext, RunFolder, Sentinel
from unflat.recon.visualization.run_data import gather

QUICK: dict[str, Any] = {"recipe": [{"er": {"iterations": 20}}], "starts": 2, "keep": 1, "refine": {"iterations": 5}}


@pytest.mark.parametrize(
    ("free", "name", "judged"), [(0.05, "Free likelihood", "withheld"), (0.0, "Likelihood", "fitted")]
)
def test_fitted_pixels_do_not_pass_for_withheld_ones(tmp_path: Path, free: float, name: str, judged: str) -> None:
    simulated = {"shape": [24, 24, 24], "flaws": [], "strains": []}
    told = QUICK | {"free": free, "gate": 1e-6}
    settings = CrystalSettings.model_validate({"kind": "crystal", "phase": told, "simulate": simulated})
    with RunFolder.create(tmp_path / "RUN") as folder:
        folder.write_config("kind: crystal\n")
        outcome = phase(RunContext(settings, folder, simulate(settings)))
        folder.write_metrics(outcome.numbers)
        assert outcome.gate is not None
        assert not outcome.gate.passed
        assert outcome.gate.title == f"likelihood of the {judged} pixels"
        folder.finish(Sentinel.DONE, "done")
    facts = gather(tmp_path / "RUN")
    assert ("llk_free" in facts.metrics) is (free > 0)
    assert all(("llk_free" in record) is (free > 0) for record in facts.records)
    said = report_findings(facts)
    assert said[0].title == name
    assert ("None were withheld" in said[0].text) is (free == 0)
    assert (", free " in summary_line({k: v for k, v in facts.metrics.items() if v is not None})) is (free > 0)
    bars = next(drawing for drawing in report_figures(facts) if drawing.title == "Starts")
    assert f"Likelihood of the {judged} pixels" in bars.caption
    figure = draw_starts(list(facts.records), "llk_free" if free else "llk")
    assert np.isfinite([bar.get_height() for bar in figure.axes[0].patches]).all()
