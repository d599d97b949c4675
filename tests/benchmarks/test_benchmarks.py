"""Benchmarks: cached parts, the page of results, and the numbers that they compute."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def ledger(folder: Path, **more: Any) -> Any:
    from benchmarks.ledger import Ledger

    return Ledger("trial", folder, **more)


def test_a_part_is_computed_once_until_its_settings_change(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"snr": 12.5}

    assert ledger(tmp_path).part("fit", {"steps": 3, "shape": (4, 4)}, compute) == {"snr": 12.5}
    assert ledger(tmp_path).part("fit", {"steps": 3, "shape": (4, 4)}, compute) == {"snr": 12.5}
    assert len(calls) == 1
    ledger(tmp_path).part("fit", {"steps": 4, "shape": (4, 4)}, compute)
    ledger(tmp_path, again=True).part("fit", {"steps": 4, "shape": (4, 4)}, compute)
    assert len(calls) == 3


def test_the_results_file_holds_rows_and_origins_and_no_cached_numbers(tmp_path: Path) -> None:
    results = ledger(tmp_path)
    for name in ("fit", "fit again"):
        results.part(name, {"steps": 3}, lambda: {"trace": list(range(1000))})
    results.row("SNR", 12.5)
    results.save("complete")
    content = json.loads(results.path.read_text("utf-8"))
    assert [row["ours"] for row in content["rows"]] == [12.5]
    assert [set(origin) for origin in content["origins"]] == [{"machine", "source", "date"}]
    assert results.path.stat().st_size < 2000
    assert ledger(tmp_path).parts["fit"]["numbers"]["trace"][-1] == 999


def test_the_digest_depends_on_files_and_texts(tmp_path: Path) -> None:
    from benchmarks.ledger import digest

    network = tmp_path / "network-0.h5"
    network.write_bytes(b"one")
    before = digest(network, "kind: shape")
    assert digest(network, "kind: cell") != before
    network.write_bytes(b"two")
    assert digest(network, "kind: shape") != before


def test_the_page_has_every_row_the_machine_and_missed_goals(tmp_path: Path) -> None:
    from benchmarks.table import write_page

    results = ledger(tmp_path)
    results.row("NCC", 0.9, reference="0.809 | theirs", goal=(">", 0.85), how="fit")
    results.row("NRMSE", 0.1, goal=("<", 0.095))
    results.row("time to their error", None, unit="s")
    results.row("coverage", 99, digits=0, goal=("within", 80, 97))
    results.row("coverage of others", 90, digits=0, goal=("within", 80, 97))
    results.save("complete")
    text = write_page(tmp_path, ["trial", "absent"], quick=True).read_text("utf-8")
    assert "| trial | NCC | **0.900** | 0.809 \\| theirs | > 0.85 | fit |" in text
    assert "| trial | NRMSE | 0.100 |  | < 0.095 (**missed**) |  |" in text
    assert "| trial | coverage | 99 |  | 80 to 97 (**missed**) |  |" in text
    assert "| trial | coverage of others | **90** |  | 80 to 97 |  |" in text
    assert "| — |" in text
    assert "cores" in text
    assert "no figure here means anything" in text


def test_a_skipped_benchmark_is_named_on_the_page(tmp_path: Path) -> None:
    from benchmarks.table import write_page

    ledger(tmp_path).save("skipped: no data")
    assert "*skipped: no data*" in write_page(tmp_path, ["trial"], quick=False).read_text("utf-8")


def test_filaments_are_detected_at_their_positions() -> None:
    from benchmarks.algae import filaments

    volume = np.random.default_rng(0).normal(size=(12, 96, 96)) * 1e-3
    for z, y, x in ((6, 30, 30), (7, 60, 65)):
        volume[z - 1 : z + 2, y, x - 3 : x + 4] += 1
    spacing = (5e-6, 0.65e-6, 0.65e-6)
    points = filaments([volume, 0.1 * volume], spacing)[:2]
    assert [(z, y) for z, y, _ in sorted(points)] == [(6, 30), (7, 60)]


def test_counts_are_compared_at_their_own_scale() -> None:
    from benchmarks.diffraction import compare_counts

    rng = np.random.default_rng(0)
    modelled = rng.uniform(50, 500, (12, 12, 12))
    counts, good = rng.poisson(modelled).astype(float), rng.random(modelled.shape) > 0.1
    figures = compare_counts(7.0 * modelled, counts, good, ~good)
    assert compare_counts(counts, counts, good)["chi_rms"] == pytest.approx(0, abs=1e-12)
    assert figures["llk"] == pytest.approx(1, abs=0.15)  # perfect counting statistics, also of withheld pixels
    assert figures["llk_free"] == pytest.approx(1, abs=0.4)
    assert figures["chi_rms"] == pytest.approx(np.sqrt(0.25 * good.sum() / counts[good].sum()), rel=0.1)


def test_the_modelled_counts_of_a_run_follow_the_physics(tmp_path: Path) -> None:
    import h5py
    import jax.numpy as jnp

    from benchmarks.diffraction import read_solution
    from unflat.physics.diffraction.far_field import fftshift3, ifftshift3, intensity
    from unflat.physics.psf import gaussian_kernel, gaussian_transfer

    sigmas, shape = (0.4, 0.6, 0.3), (16, 14, 12)
    density = (np.random.default_rng(1).normal(size=(2, *shape)) * [[[[1]]], [[[1j]]]]).sum(0).astype(np.complex64)
    with h5py.File(tmp_path / "volume.h5", "w") as file:
        file["detector_frame/density"] = density
        file["detector_frame/point_spread_function"] = gaussian_kernel(sigmas)
        file["detector_frame/background"] = 3.0
        file["detector_frame/mask"] = np.zeros(shape, np.uint8)
    expected = intensity(ifftshift3(jnp.asarray(density)), gaussian_transfer(shape, jnp.array(sigmas)), 3.0)
    np.testing.assert_allclose(read_solution(tmp_path).modelled, fftshift3(np.asarray(expected)), rtol=1e-3)


@pytest.mark.skipif(sys.platform == "win32", reason="waits for processes as on POSIX")
def test_a_failed_program_is_reported_with_its_output(tmp_path: Path) -> None:
    from benchmarks.commands import CommandFailed, run

    cost = run([sys.executable, "-c", "x = bytearray(50_000_000)"], log=tmp_path / "log")
    assert cost.peak_bytes > 50_000_000
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3.*no such thing"):
        run([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"], log=tmp_path / "log")


@pytest.mark.slow
def test_no_scan_of_a_watch_is_lost_or_done_twice_by_damage_and_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import watch

    recipe = [{"hio": {"iterations": 30, "support": {"every": 15}}}]  # What each scan comes to does not matter.
    monkeypatch.setattr(watch, "PHASE", watch.PHASE | {"phase.recipe": recipe, "phase.refine.iterations": 0})
    numbers = watch.watch_with_kill(tmp_path / "watch", 5, 2, pause=0.3, idle=4.0)
    assert {name: numbers[name] for name in ("results", "reasons", "lost", "twice", "reports")} == {
        "results": 3, "reasons": 2, "lost": 0, "twice": 0, "reports": 3,
    }  # fmt: skip
