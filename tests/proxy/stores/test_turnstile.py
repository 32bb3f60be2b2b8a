from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from llmproxy.stores.turnstile import Turnstile

HOLDER = """
import sys
from pathlib import Path
from llmproxy.stores.turnstile import Turnstile

assert Turnstile(Path(sys.argv[1])).enter(1)
print("in", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "turn"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that went in and stays."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env={"PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        yield process
        process.kill()


def test_one_goes_in_after_the_other(path: Path) -> None:
    turnstile = Turnstile(path)

    for _ in range(3):
        assert turnstile.enter(0.01)
        turnstile.leave()


def test_another_process_is_waited_for_a_moment_and_then_not_at_all(
    path: Path, holder: subprocess.Popen[bytes]
) -> None:
    turnstile = Turnstile(path)
    begun = monotonic()

    assert [turnstile.enter(0.02) for _ in range(2)] == [False, False]
    assert monotonic() - begun >= 0.04
    # Known to hang: it is not even tried, with whatever patience.
    assert turnstile.enter(1000) is False


def test_a_process_that_dies_gives_its_turn_back(path: Path, holder: subprocess.Popen[bytes]) -> None:
    turnstile = Turnstile(path)
    assert turnstile.enter(0.01) is False

    holder.kill()
    holder.wait(10)

    assert turnstile.enter(5)


def test_another_thread_is_waited_for_too(path: Path) -> None:
    turnstile = Turnstile(path)
    assert turnstile.enter(1)
    outcomes: list[bool] = []
    for _ in range(2):
        other = threading.Thread(target=lambda: outcomes.append(turnstile.enter(0.01)))
        other.start()
        other.join()
    turnstile.leave()

    assert outcomes == [False, False]


def test_what_fails_at_once_leaves_the_turn_to_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turnstile = Turnstile(path)

    def broken(file: int, how: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("llmproxy.stores.turnstile.flock", broken)
        with pytest.raises(OSError, match="Input"):
            turnstile.enter(1)
    entered: list[bool] = []
    other = threading.Thread(target=lambda: entered.append(turnstile.enter(1)))
    other.start()
    other.join()

    assert entered == [True]


def test_nobody_enters_what_is_closed(path: Path) -> None:
    turnstile = Turnstile(path)
    turnstile.close()

    assert turnstile.enter(1) is False


def test_no_link_is_followed(path: Path) -> None:
    path.symlink_to(path.with_name("other"))

    with pytest.raises(OSError, match="symbolic"):
        Turnstile(path)
