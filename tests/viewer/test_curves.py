"""Curves of a run that goes on: only new lines are read, and what comes out is what the whole file holds."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from unflat.recon.viewer import curves as curves_module
from unflat.recon.viewer.curves import MOST_POINTS, CurveCache


def line(step: int, **values: float) -> str:
    return json.dumps({"step": step, **values}) + "\n"


def test_new_lines_are_added_and_a_line_counts_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, cache = tmp_path / "metrics.jsonl", CurveCache()
    assert cache.get(tmp_path) == {}
    parsed: list[bytes] = []
    monkeypatch.setattr(curves_module, "parse_json", lambda text: parsed.append(text) or json.loads(text))
    text = line(1, loss=0.5) + line(2, loss=0.25, seconds=3.0)
    file.write_text(text + line(3, loss=0.125, withheld=2.0)[:-9])
    assert cache.get(tmp_path) == {"loss": [[1, 0.5], [2, 0.25]]}
    file.write_text(text + line(3, loss=0.125, withheld=2.0) + "no json\n[1]\n")
    assert cache.get(tmp_path) == {"loss": [[1, 0.5], [2, 0.25], [3, 0.125]], "withheld": [[3, 2.0]]}
    assert len(parsed) == 5, "each line once"


def test_a_long_curve_is_thinned_evenly_with_its_ends(tmp_path: Path) -> None:
    file, cache, count = tmp_path / "metrics.jsonl", CurveCache(), 12_345
    for part in range(0, count, 5000):
        with file.open("a") as stream:
            steps = range(part, min(part + 5000, count))
            stream.writelines(
                line(step, loss=1 / (1 + step), **({"rare": step} if step % 1000 == 0 else {})) for step in steps
            )
        curves = cache.get(tmp_path)
    loss, rare = curves["loss"], curves["rare"]
    assert len(rare) == 13
    assert len(loss) == MOST_POINTS
    assert (loss[0], loss[-1]) == ([0, 1.0], [count - 1, 1 / count])
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(loss)]
    assert max(gaps) <= 2 * count / MOST_POINTS
    assert all(value == 1 / (1 + step) for step, value in loss)


def test_fits_one_after_the_other_are_lines_of_their_own_and_starts_are_counted(tmp_path: Path) -> None:
    file, cache = tmp_path / "metrics.jsonl", CurveCache()
    file.write_text(line(1, loss=4.0, fit=0) + line(2, loss=2.0, fit=0) + line(1, loss=5.0, fit=1))
    assert cache.get(tmp_path) == {"loss": [[1, 4.0], [2, 2.0], [1, None], [1, 5.0]]}
    assert cache.axis(tmp_path) == "step"
    phase = tmp_path / "phase"
    phase.mkdir()
    (phase / "metrics.jsonl").write_text(line(80, llk=1.5, start=0.0) + line(160, llk=1.25, start=1.0))
    assert cache.get(phase) == {"llk": [[0, 1.5], [1, 1.25]]}
    assert cache.axis(phase) == "start"


def test_a_run_that_begins_anew_has_new_curves(tmp_path: Path) -> None:
    file, cache = tmp_path / "metrics.jsonl", CurveCache()
    file.write_text(line(1, loss=0.5) + line(2, loss=0.4))
    cache.get(tmp_path)
    file.write_text(line(1, loss=0.75) + line(2, loss=0.7) + line(3, loss=0.6))  # Longer, in the same inode.
    assert cache.get(tmp_path) == {"loss": [[1, 0.75], [2, 0.7], [3, 0.6]]}
    file.write_text(line(1, loss=0.5))
    assert cache.get(tmp_path) == {"loss": [[1, 0.5]]}
