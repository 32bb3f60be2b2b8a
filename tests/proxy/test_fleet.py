import os
import subprocess
import sys
from pathlib import Path

import llmproxy

# Prints what happens to two workers of a fleet; forks, so it has a process of its own.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from llmproxy.addresses import Address
from llmproxy.fleet import Died, Fleet, Heard, Signalled, kill
from llmproxy.sockets import Binding, open_listeners

opened = open_listeners([Binding(Address("127.0.0.1", 0))], 2)
fds = [listeners[0].sock.fileno() for listeners in opened]

def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True

def main(worker):
    sock = worker.link.args[0]
    mine = worker.listeners[0].sock.fileno() == fds[worker.slot]
    alone = [is_open(fd) for fd in fds].count(True) == 1
    from llmproxy.framing import encode_frame
    from llmproxy.orders import Failed
    reason = f"{worker.data} {mine} {alone} {worker.bus_directory}"
    sock.sendall(encode_frame(Failed(worker.generation, reason)))
    if worker.generation == 1:
        signal.pause()
    return 7

def tell(count):
    while count:
        for event in fleet.events(10):
            count -= 1
            match event:
                case Heard(): print("heard", event.child.slot, event.message.generation, event.message.reason)
                case Died(): print("died", event.child.slot, event.reason, event.code)
                case Signalled(): print("signal", signal.Signals(event.number).name)

with Fleet(opened, main, 1.0, Path("bus")) as fleet:
    slot = fleet.slots[0]
    first = fleet.start(slot, 1, b"one")
    tell(1)
    second = fleet.start(slot, 2, b"two")
    print("successor", slot.current is first, slot.successor is second)
    tell(2)
    other = fleet.start(fleet.slots[1], 1, b"one")
    tell(1)
    os.kill(os.getpid(), signal.SIGHUP)
    tell(1)
    kill([first, other])
    tell(2)
    print(fleet.children, fleet.events(0))
"""


def test_a_fleet_tells_what_its_workers_say_and_how_they_end():
    environ = {**os.environ, "PYTHONPATH": str(Path(llmproxy.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    lines = done.stdout.splitlines()

    assert lines[:6] == [
        "heard 0 1 b'one' True True bus",
        "successor True True",
        "heard 0 2 b'two' True True bus",
        "died 0 worker 0 ended with exit code 7 7",
        "heard 1 1 b'one' True True bus",
        "signal SIGHUP",
    ], done.stderr
    assert sorted(lines[6:8]) == [f"died {slot} worker {slot} was ended by SIGKILL 137" for slot in (0, 1)]
    assert lines[8:] == ["{} []"]
