"""The house rules of every test.

On the CPU, with strict promotion; every annotation of ``physics`` and ``recon``, shapes included, checked at every
call; compiled programs kept from one run to the next.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Set before anything imports jax; subprocesses inherit them, so that a command is tested as strictly as a function.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["COLUMNS"] = "100"  # click and rich wrap to the terminal's width

# Some environments say otherwise; the tests, and hundreds of processes that they start, would compile all sources anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# jax's traces make many objects and few cycles: at the usual thresholds a tenth of the tests' time goes to collections.
gc.set_threshold(50_000)

settings.register_profile("unflat", deadline=None)  # By default an example of 0.2 s fails, as on a busy machine.
settings.load_profile("unflat")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # In the background of a script; a command would leave it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Here and not by jaxtyping's option of pytest, which cannot pass a checker its settings. With the numeric tower an int
# is a float, as it is for mypy.
install_import_hook(
    ["unflat.physics", "unflat.recon"], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)


@pytest.fixture(autouse=True)
def _options_of_xla() -> Iterator[None]:
    """Keep the options that a command sets for its own process from the processes of later tests."""
    before = {name: os.environ.get(name) for name in ("XLA_FLAGS", "JAX_ENABLE_COMPILATION_CACHE")}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets, beside the repository; the test is skipped, saying so, where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent")
    return folder


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no report at the end of a run in this process: its figures take longer than a small run."""
    from unflat.recon.experiments import run as run_module

    monkeypatch.setattr(run_module, "write_run_report", lambda *_, **__: None)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write reports of this process without figures, which take most of their time."""
    from unflat.recon.visualization import report

    monkeypatch.setattr(report, "draw_figures", lambda *_: [])
