import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import llmproxy
from llmproxy.children import SOON, Child, Slot, describe_end


def test_a_worker_that_lived_is_replaced_at_once_each_time():
    slot = Slot(0, ())
    waits = []
    for _ in range(3):
        slot.schedule_restart(100.0, lived=SOON)
        waits.append(slot.restart_at - 100.0)

    assert waits == [0.0, 0.0, 0.0]


def test_a_worker_that_crashes_again_soon_waits_longer_each_time_up_to_a_limit():
    slot = Slot(0, ())
    waits = []
    for _ in range(9):
        slot.schedule_restart(0.0, lived=0.1)
        waits.append(slot.restart_at)
    slot.schedule_restart(0.0, lived=60.0)

    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert slot.restart_at == 0.0


def test_a_slot_knows_whether_somebody_is_on_the_way():
    slot = Slot(0, ())
    seen = [(slot.empty, slot.starting)]
    slot.current = Child(0, 100, None, 0.0, 60.0)
    seen.append((slot.empty, slot.starting))
    slot.current.ready = True
    seen.append((slot.empty, slot.starting))
    slot.successor = Child(0, 101, None, 0.0, 60.0)
    seen.append((slot.empty, slot.starting))

    assert seen == [(True, False), (False, True), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (0, ("worker 2 ended with exit code 0", 0)),
        (3 << 8, ("worker 2 ended with exit code 3", 3)),
        (signal.SIGKILL, ("worker 2 was ended by SIGKILL", 137)),
    ],
)
def test_an_end_is_told_in_words_and_as_an_exit_code(status, told):
    assert describe_end(2, status) == told


FORK = """
import os, signal, sys
from llmproxy.children import Signals, fork_worker, reap
from llmproxy.control import Worker
from llmproxy.errors import StartError

def main(worker):
    match worker.slot:
        case 0: return 5
        case 1: raise StartError("no such upstream")
        case 2: sys.exit(6)
        case 3: raise ValueError("a bug")
        case 4:
            ignored = [n for n in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGTERM)
                       if signal.getsignal(n) is signal.SIG_IGN]
            return len(ignored) * 10 + len(signal.pthread_sigmask(signal.SIG_BLOCK, []))

with Signals() as signals:
    for slot in range(5):
        make = lambda control: Worker(slot, 5, 1, b"", (), None, 1.0, None)
        pid, channel = fork_worker(make, main, signals.forget)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        told = [message.reason for message in channel.receive()[0]]
        (status,) = [status for reaped, status in reap() if reaped == pid]
        print(slot, os.waitstatus_to_exitcode(status), told)
    print(signal.SIGCHLD in signals.read(), signals.read(), list(reap()))
"""


def test_a_fork_runs_its_main_and_nothing_of_the_supervisor():
    environ = {**os.environ, "PYTHONPATH": str(Path(llmproxy.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FORK], env=environ, capture_output=True, text=True, check=False, timeout=30
    )

    assert done.stdout.splitlines() == [
        "0 5 []",
        "1 78 ['no such upstream']",
        "2 6 []",
        "3 1 []",
        "4 30 []",
        "True set() []",
    ]
    assert done.stderr.count("Traceback") == 1
    assert "ValueError: a bug" in done.stderr
