"""``unflat demo`` in an empty folder, without compiled programs."""

import json
import shutil
from functools import partial

from unflat.recon.io.model_file import read_model
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.visualization import compare_volumes

from .commands import Options, assigned, settings_of, unflat
from .ledger import Ledger, Numbers
from .linear import nearest_to_truth
from .pictures import save_small

TINY: Options = {
    "fit.steps": 6,
    "simulate.shape": [32, 32],
    "simulate.illumination.count": 8,
    "volume.depth": "4 um",
    "simulate.depth": "4 um",
}
NAME = "demo (simulated cell)"
GOAL_SECONDS = 120


def run(ledger: Ledger) -> None:
    """Run the demo twice (the second finds its programs compiled), and linear IDT on the same images."""
    changes: Options = ledger.choose({}, TINY)
    known = {"set": settings_of(changes)}
    cold = ledger.part("demo", known, lambda: _demo(ledger, changes))
    made = ledger.scratch / "fresh" / "demo-cell"
    linear = ledger.part(
        "linear", known, lambda: nearest_to_truth(made / "config.yaml", made / "acquisition.h5", "snr")
    )
    numbers = cold["metrics"]
    how = "`unflat demo`: simulated by SSNP at half the voxel with photon noise, fitted by multi-slice"
    own = f"linear IDT in the same run, at its best α for the truth ({linear['strength']:g})"
    add = partial(ledger.row, name=NAME)
    add(
        "time, nothing compiled before",
        cold["cold_seconds"],
        unit="s",
        digits=0,
        goal=("<", GOAL_SECONDS),
        how=how,
    )
    add("time, second run", cold["warm_seconds"], unit="s", digits=0, how="programs in the compilation cache")
    add("SNR", numbers["snr"], unit="dB", digits=2, reference=f"{linear['snr']:.2f} dB: {own}", how=how)
    add("NCC", numbers["ncc"], digits=4, reference=f"{linear['ncc']:.4f}: linear IDT", how=how)
    add(
        "PSNR",
        numbers["psnr"],
        unit="dB",
        digits=2,
        reference=f"{linear['psnr']:.2f} dB: linear IDT",
        how=how,
    )
    add(
        "residual of withheld views",
        numbers["residual_withheld"],
        reference=f"fitted views {numbers['residual_fitted']:.3f}",
        how="root of the mean squared amplitude error over an empty box's",
    )
    size = f"volume {numbers['volume_bytes'] / 1e6:.2f} MB, {numbers['voxels']:,.0f} voxels"
    count = f"{numbers['model_parameters']:,.0f} numbers"
    add("model's file", numbers["model_bytes"] / 1e6, unit="MB", digits=2, reference=size, how=count)
    add("peak memory", cold["peak_bytes"] / 2**30, unit="GiB", digits=2, how="of the whole process")
    ledger.figure("demo")


def _demo(ledger: Ledger, changes: Options) -> Numbers:
    folder, cache = ledger.scratch / "fresh", ledger.scratch / "compiled"
    for old in (folder, cache):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir()
    cache.mkdir()
    words = ["demo", "cell", "--device", ledger.device, *assigned(changes)]
    environment = {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    again = [*words, "-o", "again"]
    cold = unflat(*words, log=ledger.scratch / "demo.log", folder=folder, environment=environment)
    warm = unflat(*again, log=ledger.scratch / "again.log", folder=folder, environment=environment)
    made = folder / "demo-cell"
    truth = read_volume(made / "acquisition.h5")
    save_small(compare_volumes(truth, read_model(made / "run")), ledger.figure("demo"))
    return {
        "cold_seconds": cold.seconds,
        "warm_seconds": warm.seconds,
        "cpu_seconds": cold.cpu_seconds,
        "peak_bytes": cold.peak_bytes,
        "metrics": json.loads((made / "run" / "metrics.json").read_text("utf-8")),
    }
