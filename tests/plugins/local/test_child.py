from __future__ import annotations

import os
import subprocess
import sys
import time

import orjson
import pytest

from llmproxy_local import child
from llmproxy_local.places import is_held
from llmproxy_local.server import PROGRAM


@pytest.mark.parametrize(
    ("metrics", "busy"),
    [
        ("llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n", False),
        ("x 1\nllamacpp:requests_processing 1\n", True),
        ("llamacpp:requests_processing 0\nllamacpp:requests_deferred 2\n", True),
        ("# HELP llamacpp:requests_processing 7\n", False),
        ("", False),
    ],
)
def test_requests_that_are_answered_or_wait_keep_it_busy(metrics, busy):
    assert child.is_busy(metrics) is busy


def test_it_is_idle_once_nobody_has_asked_for_long_enough(tmp_path):
    ready = tmp_path / "ready"
    ready.touch()
    told = {"ready": str(ready), "idle": 10.0}

    assert not child.is_idle(told, 0.0)
    os.utime(ready, (1, 1))
    assert child.is_idle(told, 0.0)
    assert not child.is_idle(told, time.time())
    ready.unlink()
    assert child.is_idle(told, 0.0)


def test_it_loads_nothing_of_the_gateway():
    text = PROGRAM.read_text()

    assert "import llmproxy" not in text
    assert "from llmproxy" not in text


def test_it_ends_when_the_pipe_does_and_leaves_nothing_behind(site):
    places = site.places
    told = {
        "name": "m",
        "weights": str(site.weights),
        "key": "k",
        "context": 512,
        "parallel": 1,
        "threads": 0,
    }
    told |= {
        "idle": 60.0,
        **{kind: str(getattr(places, kind)) for kind in ("socket", "ready", "alive", "gate")},
    }
    process = subprocess.Popen([sys.executable, str(PROGRAM)], stdin=subprocess.PIPE)
    process.stdin.write(orjson.dumps(told) + b"\n")
    process.stdin.flush()
    until = time.monotonic() + 20
    while not places.ready.exists() and time.monotonic() < until:
        time.sleep(0.01)

    assert is_held(places.alive)
    assert places.ready.read_text() == "k"
    process.stdin.close()
    assert process.wait(10) == 0
    assert not places.ready.exists()
    assert not places.socket.exists()
    assert not is_held(places.alive)
