"""Plan of a group of processes: from options, environment variables, SLURM's ``srun`` or Open MPI's ``mpirun``."""

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ConfigError, Diagnostic

COORDINATOR, PROCESSES, PROCESS, TIMEOUT = (
    f"UNFLAT_{name}" for name in ("COORDINATOR", "PROCESSES", "PROCESS", "START_TIMEOUT")
)
"""Environment variables that stand for the options of the same names."""
START_TIMEOUT = 60.0
"""[s] Time within which all processes must have come together, by default."""
_FIRST_PORT, _PORTS = 61440, 4096
"""Ports that a launcher's job takes one of: above those that systems give to programs that ask for any."""


@dataclass(frozen=True)
class GroupPlan:
    """Plan of a group.

    Args:
        host: Machine of process 0.
        port: Port on which process 0 expects the others.
        count: Number of processes.
        index: Number of this process, from 0.
        timeout: [s] Time within which all must have come together.
        launcher: Program that started the processes, ``srun`` or ``mpirun``; empty if they were started by hand.
        job: Name of the launcher's job: processes of another one are none of the group.
    """

    host: str
    port: int
    count: int
    index: int
    timeout: float = START_TIMEOUT
    launcher: str = ""
    job: str = ""

    @property
    def address(self) -> str:
        """Address of process 0, as ``--coordinator`` takes it."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True)
class _Launcher:
    """Numbers that a launcher gives to a process.

    Args:
        name: Name of the launcher.
        count: Number of processes.
        index: Number of this process.
        address: Address of process 0; empty if the launcher does not give it.
        job: Name of the job.
    """

    name: str
    count: int
    index: int
    address: str
    job: str


def plan_group(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> GroupPlan | None:
    """Plan the group of this process.

    Args:
        coordinator: Address of process 0, ``HOST:PORT``, as an option gave it.
        processes: Number of processes, likewise.
        process: Number of this process, likewise.
        environment: Environment variables.

    Returns:
        The plan; None for a process alone.

    Raises:
        ConfigError: If the numbers do not fit, or some are missing.
    """
    launcher = _slurm_step(environment) or _open_mpi(environment)
    coordinator = coordinator or environment.get(COORDINATOR) or None
    processes = _number(environment, PROCESSES) if processes is None else processes
    process = _number(environment, PROCESS) if process is None else process
    if processes == 1 and not process:
        return None
    if launcher is not None:
        count = launcher.count if processes is None else processes
        index = launcher.index if process is None else process
        address = coordinator or launcher.address
    elif (coordinator, processes, process) == (None, None, None):
        return None
    else:
        count, index, address = _by_hand(coordinator, processes, process)
    if count < 1 or not 0 <= index < count:
        message = f"there is no process {index} among {count}: they are numbered from 0"
        raise ConfigError(Diagnostic("--process", message, f"number them 0 to {max(count - 1, 0)}"))
    if count == 1:
        return None
    if not address:
        message = f"{launcher.name if launcher else ''} does not tell the address of process 0"
        raise ConfigError(Diagnostic("--coordinator", message, f"give it: --coordinator HOST:PORT, or {COORDINATOR}"))
    host, port = _split_address(address)
    name, job = ("", "") if launcher is None else (launcher.name, launcher.job)
    return GroupPlan(host, port, count, index, _timeout(environment), name, job)


def _by_hand(coordinator: str | None, processes: int | None, process: int | None) -> tuple[int, int, str]:
    named = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in named.items() if value is None]
    if coordinator is None or processes is None or process is None:
        remedy = "give all three: --coordinator HOST:PORT --processes N --process I"
        raise ConfigError(Diagnostic(", ".join(missing), "missing for one of several processes", remedy))
    return processes, process, coordinator


def _slurm_step(environment: Mapping[str, str]) -> _Launcher | None:
    """Read the numbers of a task of ``srun``; a batch script, and a step of one task, is a process alone."""
    count, index = _number(environment, "SLURM_STEP_NUM_TASKS"), _number(environment, "SLURM_PROCID")
    if "SLURM_STEP_ID" not in environment or index is None or (count or 1) < 2:
        return None
    host = first_host(environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", ""))
    if _number(environment, "SLURM_STEP_NUM_NODES") == 1:
        host = "127.0.0.1"
    job = f"{environment.get('SLURM_JOB_ID', '')}.{environment['SLURM_STEP_ID']}"
    return _Launcher("srun", count or 1, index, f"{host}:{_port_of(job)}" if host else "", job)


def _open_mpi(environment: Mapping[str, str]) -> _Launcher | None:
    """Read the numbers of a process of ``mpirun``; the address is known if all are on this machine, or by its URI."""
    count, index = _number(environment, "OMPI_COMM_WORLD_SIZE"), _number(environment, "OMPI_COMM_WORLD_RANK")
    if index is None or (count or 1) < 2:
        return None
    uri = environment.get("OMPI_MCA_orte_hnp_uri", "")
    job = (
        environment.get("PMIX_NAMESPACE", "") or uri.partition(".")[0] or environment.get("OMPI_MCA_ess_base_jobid", "")
    )
    if count == _number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE"):
        host = "127.0.0.1"
    else:
        match = re.search(r"tcp://([\d.]+)[,:]", uri)
        host = match[1] if match else ""
    return _Launcher("mpirun", count or 1, index, f"{host}:{_port_of(job)}" if host and job else "", job)


def first_host(nodes: str) -> str:
    """Return the first machine of a list as SLURM writes it: ``gpu[03-05,11],login``; empty for an empty list."""
    match = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes.strip())
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", match[0]) if match else ""


def _port_of(job: str) -> int:
    return _FIRST_PORT + zlib.crc32(job.encode()) % _PORTS


def _split_address(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"\[?([^\s\]]+?)\]?:(\d{1,5})", address.strip())
    if match is None or not 0 < int(match[2]) < 65536:
        raise ConfigError(Diagnostic("--coordinator", f"{address!r} is no address", "write it as HOST:PORT"))
    return match[1], int(match[2])


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise ConfigError(Diagnostic(name, f"{text!r} is not a number", "set it to a number, or unset it"))
    return int(text)


def _timeout(environment: Mapping[str, str]) -> float:
    text = environment.get(TIMEOUT, "")
    try:
        seconds = float(text) if text else START_TIMEOUT
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ConfigError(Diagnostic(TIMEOUT, f"{text!r} is not a positive number of seconds", "set it, e.g., to 60"))
    return seconds
