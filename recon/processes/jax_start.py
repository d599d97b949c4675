"""Start of jax in one of several processes, and the output and the end of its C++ parts."""

import ctypes
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..errors import DeviceError, Diagnostic
from .group import ProcessGroup

_JOINT: dict[str, Any] = {
    "jax_cpu_collectives_implementation": "gloo",
    "jax_enable_preemption_service": False,  # It would take SIGTERM, which ends a run with a checkpoint.
    "jax_check_proxy_envs": False,
}
_VISIBLE = ("jax_cuda_visible_devices", "jax_rocm_visible_devices")
_ROCM = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_HEARTBEATS = 10**6
"""[s] Time after which jax takes a silent process for dead: never, as the group knows before."""
_ABORT_DELAY = 3.0
"""[s] Time that the news of a death may come after jax's own."""
_retained: list[Any] = []
"""Objects that C code uses as long as the process lasts."""


def start_jax(group: ProcessGroup, cards: Sequence[str], *, joint: bool) -> None:
    """Prepare jax for one of several processes, before its first use; nothing for a process alone.

    Args:
        group: Group.
        cards: Names of the GPUs that this process sees; processes that see the same ones share them out.
        joint: Whether to connect jax with the other processes, for steps that they compute together. Else each compiles
            and computes as one alone, with the programs that are stored already.

    Raises:
        DeviceError: If jax does not find the others, or the GPUs cannot be shared out.
    """
    if group.plan is None:
        return
    import jax

    update: Callable[[str, Any], None] = jax.config.update
    own = _own_cards(group, cards)
    settings = dict(_JOINT) if joint else {}
    settings |= {} if own is None else dict.fromkeys(_VISIBLE, ",".join(map(str, own)))
    for name, value in settings.items():
        with suppress(AttributeError):  # Not every release has them all.
            update(name, value)
    if not joint:
        return
    _move_output(group)
    _catch_abort(group)
    os.environ.setdefault("no_grpc_proxy", group.plan.host)
    try:
        jax.distributed.initialize(
            group.jax_address,
            group.count,
            group.index,
            cluster_detection_method="deactivate",
            initialization_timeout=max(1, round(group.plan.timeout)),
            heartbeat_timeout_seconds=_HEARTBEATS,
        )
    except RuntimeError as error:
        message = f"jax does not reach the other processes at {group.jax_address}: {str(error).splitlines()[0]}"
        remedy = "the machines must reach each other on any port; see --coordinator"
        raise DeviceError(Diagnostic("", message, remedy)) from None


def _own_cards(group: ProcessGroup, cards: Sequence[str]) -> list[int] | None:
    """Choose the GPUs of this process, where others of its machine see the same ones; None for all that it sees.

    Raises:
        DeviceError: If there are fewer GPUs than processes that see them, or the processes see some in common.
    """
    host, own = socket.gethostname(), sorted(cards)
    seen = [
        (index, sorted(names)) for index, ((there, names), _) in enumerate(group.gather([host, own])) if there == host
    ]
    beside = [index for index, names in seen if names == own]
    if not own:
        return None
    if len(own) < len(beside) or any(set(names) & set(own) for _, names in seen if names != own):
        message = f"{len(seen)} processes on {host} cannot share out its GPUs: process {group.index} sees {len(own)}"
        remedy = "start as many processes on a machine as it has GPUs, or fewer, with equal CUDA_VISIBLE_DEVICES"
        raise DeviceError(Diagnostic("", message, remedy))
    if beside == [group.index]:
        return None
    place, count = beside.index(group.index), len(beside)
    return [cards.index(name) for name in own[len(own) * place // count : len(own) * (place + 1) // count]]


def require_same_platform(group: ProcessGroup, platform: str, *, is_divided: bool) -> None:
    """Require that all processes of a group compute on devices of one type, and none on that of another.

    Args:
        group: Group.
        platform: Type of the devices of this process.
        is_divided: Whether each process of this machine has GPUs of its own.

    Raises:
        DeviceError: If they do not.
    """
    platforms = [part[0] for part in group.gather(platform)]
    for index, other in enumerate(platforms):
        if other != platforms[0]:
            message = f"process {index} computes on the {other.upper()}, and process 0 on the {platforms[0].upper()}"
            raise DeviceError(Diagnostic("", message, "see 'unflat doctor' on both machines, or use --device cpu"))
    if platform == "gpu" and group.local[1] > 1 and not (is_divided or any(name in os.environ for name in _ROCM)):
        message = f"{group.local[1]} processes on one machine, whose GPUs are not NVIDIA's, are not shared out"
        remedy = f"give each process GPUs of its own ({_ROCM[0]}), or start one process on each machine"
        raise DeviceError(Diagnostic("", message, remedy))


def _move_output(group: ProcessGroup) -> None:
    """Keep apart the output of Python and that of C++ parts, which is none of the command's.

    On stdout it is dropped. In process 0 it stays on stderr; in the others it goes to a file, for their log.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        if group.is_first:
            sys.stdout = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
            os.dup2(nowhere.fileno(), 1)
            return
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        os.dup2(nowhere.fileno(), 1)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lasts
    _retained.append(file)
    os.dup2(file.fileno(), 2)


def native_output() -> str:
    """Return the output of C++ parts in a process that is not the first."""
    if not _retained or not hasattr(_retained[0], "seek"):
        return ""
    end = os.lseek(_retained[0].fileno(), 0, os.SEEK_CUR)
    return os.pread(_retained[0].fileno(), end, 0).decode(errors="replace")


def _catch_abort(group: ProcessGroup) -> None:
    """End as after any other death when process 0 dies: jax, whose coordinator was there, then aborts the process."""
    if group.is_first or not sys.platform.startswith(("linux", "darwin")):
        return
    library = ctypes.CDLL(None)
    handler_type = ctypes.CFUNCTYPE(None, ctypes.c_int)

    def handle(number: int) -> None:
        if not group.abort(_ABORT_DELAY):
            library.signal(number, None)  # A real fault: abort goes on, and ends the process.

    handler = handler_type(handle)
    _retained.append(handler)
    library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.signal(int(signal.SIGABRT), ctypes.cast(handler, ctypes.c_void_p))
