"""Start of a group: its plan from options and launchers, and the refusal of processes that do not belong together."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unflat.recon import signals
from unflat.recon.errors import ConfigError, DeviceError, Stopped, UnflatError
from unflat.recon.processes import GroupPlan, join, plan_group, rendezvous, tell_of_signals
from unflat.recon.processes.launchers import first_host
from unflat.recon.processes.messages import Message, receive, send

SLURM = {
    "SLURM_JOB_ID": "12",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_STEP_NODELIST": "gpu[03-05,11]",
}


class TestPlan:
    def test_a_process_without_any_sign_of_others_is_alone(self) -> None:
        assert plan_group(environment={}) is None

    @pytest.mark.parametrize(
        "environment",
        [
            {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NODELIST": "n1"},
            SLURM | {"SLURM_STEP_NUM_TASKS": "1"},
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "13", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
            SLURM | {"UNFLAT_PROCESSES": "1"},
        ],
        ids=["batch script", "step of one task", "array task", "own run"],
    )
    def test_a_job_of_one_task_is_alone(self, environment: dict[str, str]) -> None:
        assert plan_group(environment=environment) is None

    def test_a_task_of_srun_finds_the_first_node_and_a_port_of_the_step(self) -> None:
        plan = plan_group(environment=SLURM)
        assert plan is not None
        assert (plan.host, plan.count, plan.index, plan.launcher) == ("gpu03", 4, 2, "srun")
        other = plan_group(environment=SLURM | {"SLURM_STEP_ID": "1"})
        assert other is not None
        assert other.port != plan.port, "two steps of a job do not meet"

    def test_a_process_of_mpirun_finds_the_others_on_its_machine(self) -> None:
        environment = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMIX_NAMESPACE": "prterun-1"}
        with pytest.raises(ConfigError, match="mpirun does not tell"):
            plan_group(environment=environment)
        plan = plan_group(environment=environment | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"})
        assert plan is not None
        assert (plan.host, plan.count, plan.index) == ("127.0.0.1", 2, 1)
        named = plan_group("[fe80::1]:45000", environment=environment)
        assert named is not None
        assert (named.host, named.port, named.address) == ("fe80::1", 45000, "[fe80::1]:45000")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("node1:45000", 2, None), "--process: missing"),
            (("node1:45000", 2, 2), "no process 2 among 2"),
            (("node1:45000", 0, 0), "no process 0 among 0"),
            (("node1", 2, 0), "'node1' is no address"),
            (("node1:99999", 2, 0), "is no address"),
        ],
    )
    def test_numbers_that_do_not_fit_are_refused(
        self, options: tuple[str, int | None, int | None], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            plan_group(*options, environment={})

    def test_no_process_is_none_at_all(self) -> None:
        with pytest.raises(ConfigError, match="no process 2 among 0"):
            plan_group(processes=0, environment=SLURM)

    def test_the_first_host_of_a_list(self) -> None:
        lists = {
            "n1": "n1",
            "n1,n2": "n1",
            "n[7,9]": "n7",
            "a-[01-02].x,b": "a-01.x",
            "": "",
            "r[1-2]n[01,03],a": "r1n01",
        }
        assert {nodes: first_host(nodes) for nodes in lists} == lists


def connect(port: int) -> socket.socket:
    """Connect with a process that may not listen yet."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.01)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def greeted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Event that is set when process 0 has read a greeting."""
    event, read = threading.Event(), rendezvous._read_greeting

    def read_and_tell(connection: socket.socket) -> dict[str, Any] | None:
        greeting = read(connection)
        event.set()
        return greeting

    monkeypatch.setattr(rendezvous, "_read_greeting", read_and_tell)
    return event


def errors_of(*processes: tuple[int, int, Mapping[str, Any]], timeout: float = 20.0) -> list[UnflatError]:
    """Errors of processes that try to come together, each given by number, count and identity; process 0 is first."""
    port, errors = free_port(), {}

    def run(place: int, index: int, count: int, identity: Mapping[str, Any]) -> None:
        try:
            with join(GroupPlan("127.0.0.1", port, count, index, timeout), identity):
                pass
        except UnflatError as error:
            errors[place] = error

    threads = [threading.Thread(target=run, args=(place, *process)) for place, process in enumerate(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [errors[place] for place in sorted(errors)]


class TestRefusals:
    def test_processes_of_different_configs_are_told_the_difference(self) -> None:
        errors = errors_of((0, 2, {"config.fit.steps": 20}), (1, 2, {"config.fit.steps": 30}))
        assert len(errors) == 2
        for error in errors:
            assert isinstance(error, ConfigError)
            assert "config.fit.steps: process 1 of 2" in str(error)
            assert "has 30, and process 0 has 20" in str(error)
            assert "--processes 1" in str(error)

    def test_a_number_that_is_given_twice_is_refused(self) -> None:
        errors = errors_of((0, 3, {}), (1, 3, {}), (1, 3, {}))
        assert len(errors) == 3
        assert all("process 1 was started twice" in str(error) for error in errors)

    def test_different_numbers_of_processes_are_refused(self) -> None:
        errors = errors_of((0, 2, {}), (1, 3, {}))
        assert all("as one of 3, and process 0 as one of 2" in str(error) for error in errors)
        assert len(errors) == 2

    def test_a_first_process_that_never_appears_is_an_error_in_time(self) -> None:
        (error,) = errors_of((1, 2, {}), timeout=0.5)
        assert isinstance(error, DeviceError)
        assert "process 0 did not appear at 127.0.0.1:" in str(error)
        assert "within 0.5 s" in str(error)
        assert "UNFLAT_START_TIMEOUT" in str(error)

    def test_a_process_of_another_job_and_one_without_a_number_are_no_part_of_the_group(self) -> None:
        port = free_port()
        greeting = {"host": "x", "pid": 1, "job": "", "index": 1, "count": 2, "identity": {}}

        def come() -> None:
            for change in ({"job": "13.0"}, {"index": "one"}, {"index": 7}):
                stranger = connect(port)
                send(stranger, Message("hello", greeting | change))
                answers.append(receive(stranger))
                stranger.close()

        answers: list[Message | None] = []
        thread = threading.Thread(target=come)
        thread.start()
        with pytest.raises(ConfigError, match="no process 7 among 2"), join(GroupPlan("127.0.0.1", port, 2, 0, 20), {}):
            pass
        thread.join()
        assert answers[:2] == [None, None]
        assert answers[2] is not None
        assert answers[2].kind == "refused"

    def test_a_process_that_a_signal_ends_before_it_joins_ends_the_others_at_once(
        self, greeted: threading.Event
    ) -> None:
        port, errors = free_port(), {}

        def run(index: int) -> None:
            try:
                with join(GroupPlan("127.0.0.1", port, 3, index, 60), {}):
                    pass
            except UnflatError as error:
                errors[index] = error

        threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        assert greeted.wait(60)
        tell_of_signals(GroupPlan("127.0.0.1", port, 3, 2, 60))
        assert signals.last_words is not None
        signals.last_words(75, "SIGTERM received")
        for thread in threads:
            thread.join(60)
        assert [type(errors[index]) for index in (0, 1)] == [Stopped, Stopped]
        for error in errors.values():
            assert f"process 2 of 3 (number {os.getpid()} on " in str(error)
            assert "has ended before the run began: SIGTERM received" in str(error)
        assert signals.last_words is None

    def test_others_that_do_not_come_are_named(self, greeted: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = SimpleNamespace(monotonic=lambda: 100.0 * greeted.is_set(), sleep=time.sleep)
        monkeypatch.setattr(rendezvous, "time", clock)  # The time is up when process 2 has come.
        errors = errors_of((0, 4, {}), (2, 4, {}))
        assert len(errors) == 2
        assert all("processes 1, 3 of 4 did not come" in str(error) for error in errors)


def test_a_message_arrives_whole_with_its_arrays() -> None:
    one, other = socket.socketpair()
    arrays = {"a/b": np.arange(6, dtype=np.complex64).reshape(2, 3), "scalar": np.array(2.5), "none": np.zeros((0, 3))}
    with one, other:
        send(one, Message("data", [1, {"x": None}], arrays))
        message = receive(other)
        assert message is not None
        assert message.value == [1, {"x": None}]
        assert message.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(message.arrays[name], array)
            assert message.arrays[name].dtype == array.dtype
        one.sendall(b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n")
        with pytest.raises(ConnectionError, match="not a message"):
            receive(other)
