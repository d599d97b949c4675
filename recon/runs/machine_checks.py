"""Checks of a machine: folders, file locks, clocks, limits, threads, text, SLURM."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ..memory import format_bytes
from .remedies import Advice

_LEAST_FREE = 1 << 30
"""[byte] Free space below which a run may not be written."""
_NETWORK = ("nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "afs", "fuse.sshfs", "ceph", "pvfs", "orangefs")
"""Beginnings of the types of network file systems."""
_LARGEST_SKEW = 2.0
"""[s] Difference of clocks from which the order of files is uncertain."""
_FEWEST_FILES = 1024
_LEAST_ADDRESS_SPACE = 64 << 30
"""[byte] Address space below which jax may fail to start: it maps more than it uses."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def check_folder(folder: Path, use: str, remedy: str) -> list[Advice]:
    """Find a folder that cannot be written, or that is nearly full.

    Args:
        folder: The folder.
        use: Use of it, for the message.
        remedy: Command by which another folder is used.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"unflat")
            file.flush()
    except OSError as error:
        return [Advice(f"the {use} {folder} cannot be written: {error.strerror}", remedy)]
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        return [Advice(f"the {use} {folder} has {format_bytes(free)} left", f"free some space, or {remedy}")]
    return []


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Type of the file system that a folder lies on; empty where the system does not tell.

    Args:
        folder: The folder.
        mounts: Text of ``/proc/mounts``; that of this machine by default.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(errors="replace")
        except OSError:
            return ""
    path, best, kind = str(folder.resolve()), "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = fields[1].replace("\\040", " ")
        within = path == place or path.startswith(place.rstrip("/") + "/")
        if within and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def check_locks(folder: Path, environment: Mapping[str, str], kind: str, *, locks: bool) -> list[Advice]:
    """Find a folder on which HDF5 cannot lock its files, as on some network file systems.

    Args:
        folder: Working folder.
        environment: Environment variables.
        kind: Type of its file system.
        locks: Whether a file there can be locked.
    """
    setting = environment.get("HDF5_USE_FILE_LOCKING", "").upper()
    if setting and setting not in ("TRUE", "1", "FALSE", "0", "BEST_EFFORT"):
        problem = f"HDF5_USE_FILE_LOCKING is {environment['HDF5_USE_FILE_LOCKING']!r}, which HDF5 does not know"
        return [Advice(problem, "export HDF5_USE_FILE_LOCKING=BEST_EFFORT")]
    if setting in ("FALSE", "0", "BEST_EFFORT"):
        return []
    if not locks:
        where = f"the network file system ({kind})" if kind.startswith(_NETWORK) else f"a file system ({kind})"
        problem = f"{folder} lies on {where} that does not lock files: HDF5 files may not open"
        return [Advice(problem, "export HDF5_USE_FILE_LOCKING=FALSE")]
    if setting and kind.startswith(_NETWORK):
        problem = f"HDF5_USE_FILE_LOCKING={setting} on a network file system ({kind}): locks may hang"
        return [Advice(problem, "export HDF5_USE_FILE_LOCKING=BEST_EFFORT")]
    return []


def can_lock(folder: Path) -> bool:
    """Whether a file in a folder can be locked; true where it cannot be tried."""
    try:
        import fcntl

        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
    except (ImportError, OSError):
        return True
    return True


def clock_skew(folder: Path) -> float:
    """[s] Time of a new file in a folder, after this machine's clock; 0 where no file can be written."""
    try:
        before = time.time()
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            written = Path(file.name).stat().st_mtime
        after = time.time()
    except OSError:
        return 0.0
    return min(written - before, 0.0) or max(written - after, 0.0)


def check_clock(skew: float) -> list[Advice]:
    """Find a file server whose clock differs: the newest file is then not told by its time."""
    if abs(skew) < _LARGEST_SKEW:
        return []
    order = "after" if skew > 0 else "before"
    problem = f"the clock of the file system is {abs(skew):.0f} s {order} that of this machine"
    return [Advice(problem, "ask for NTP on both: sudo timedatectl set-ntp true")]


def soft_limits() -> tuple[int | None, int | None]:
    """Limits of open files and of the address space [byte] of this process; None for no limit."""
    try:
        import resource
    except ImportError:
        return None, None
    files, space = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS))
    return (None if files < 0 else files), (None if space < 0 else space)


def check_limits(files: int | None, space: int | None) -> list[Advice]:
    """Find limits of open files and of the address space that a run exceeds."""
    advice = []
    if files is not None and files < _FEWEST_FILES:
        advice.append(Advice(f"a process may open {files} files only", "ulimit -n 4096"))
    if space is not None and space < _LEAST_ADDRESS_SPACE:
        problem = f"the address space is limited to {format_bytes(space)}, of which jax maps more than it uses"
        advice.append(Advice(problem, "ulimit -v unlimited"))
    return advice


def check_threads(environment: Mapping[str, str], usable: int, cores: int) -> list[Advice]:
    """Find fewer threads or cores than the machine has.

    Args:
        environment: Environment variables.
        usable: Cores that this process may use.
        cores: Cores of the machine.
    """
    advice = []
    for name in _THREADS:
        text = environment.get(name, "").split(",")[0].strip()
        if text.isdecimal() and 0 < int(text) < usable:
            problem = f"{name}={text}: NumPy and SciPy use {text} of the {usable} cores"
            advice.append(Advice(problem, f"export {name}={usable}"))
    if usable < cores and "SLURM_JOB_ID" in environment:
        problem = f"the job has {usable} of this node's {cores} cores"
        advice.append(Advice(problem, "ask for more with --cpus-per-task, or unflat submit --cpus N"))
    elif usable < cores:
        problem = f"this process is bound to {usable} of {cores} cores"
        advice.append(Advice(problem, f"taskset -c 0-{cores - 1} unflat ..."))
    return advice


def check_text(file_names: str, output: str | None) -> list[Advice]:
    """Find encodings that cannot write µm or a name with accents.

    Args:
        file_names: Encoding of file names.
        output: Encoding of the standard output.
    """
    wrong = [name for name in (file_names, output or "utf-8") if name.lower().replace("-", "") != "utf8"]
    if not wrong:
        return []
    problem = f"text is written as {wrong[0]}, which lacks characters of names and units"
    return [Advice(problem, "export LC_ALL=C.UTF-8 PYTHONUTF8=1")]


def slurm_partitions() -> tuple[list[str], str]:
    """Partitions of SLURM, the default one marked by ``*``.

    Returns:
        Their names, and the words with which SLURM refuses; both empty without SLURM.
    """
    if not shutil.which("sinfo"):
        return [], ""
    try:
        result = subprocess.run(["sinfo", "-h", "-o", "%P"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return [], str(error)
    if result.returncode:
        return [], (result.stderr.strip().splitlines() or ["sinfo fails"])[-1]
    return result.stdout.split(), ""


def check_slurm(has_sbatch: bool, partitions: list[str], refusal: str) -> list[Advice]:
    """Find a SLURM that does not answer, or that has no default partition."""
    if not has_sbatch:
        return []
    if refusal:
        return [Advice(f"SLURM does not answer: {refusal}", "run on a login node of the cluster, or ask its staff")]
    if not partitions:
        return [Advice("SLURM shows no partition to you", "ask its staff for access: sinfo, sacctmgr show assoc")]
    if not any(name.endswith("*") for name in partitions):
        remedy = f"name one: unflat submit --partition {partitions[0]}"
        return [Advice(f"SLURM has no default partition among {', '.join(partitions)}", remedy)]
    return []


def encodings() -> tuple[str, str | None]:
    """Encodings of file names and of the standard output."""
    return sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None)
