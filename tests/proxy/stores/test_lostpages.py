from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux whose signals are handled")

READ = """
import mmap, os, sys
from pathlib import Path
from threading import Thread
from llmproxy.stores.lostpages import guard

class Mapper:
    told = 0

    def __init__(self, path, write):
        file = os.open(path, os.O_RDWR)
        access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
        self.map = mmap.mmap(file, 0, access=access)

    def pages_lost(self):
        self.told += 1

path = Path(sys.argv[1])
mapper, writer, other = Mapper(path, False), Mapper(path, True), Mapper(sys.argv[2], False)
guard(path, mapper)
guard(path, writer)
os.truncate(path, 8192)
assert mapper.map[:3] == b"abc" and mapper.told == 0
assert mapper.map[8192:8195] == bytes(3) and mapper.told == 1
assert mapper.map[-3:] == bytes(3) and mapper.told == 1
thread = Thread(target=lambda: print(mapper.map[4096:] == b"x" * 4096 + bytes(8192)))
thread.start()
thread.join()
writer.map[-1] = 7
assert (writer.map[-1], writer.map[0], writer.told) == (7, 97, 2)
path.unlink()
assert mapper.map[:3] == b"abc"
print("the others")
sys.stdout.flush()
os.truncate(sys.argv[2], 0)
other.map[0]
print("not reached")
"""


def test_zeros_are_read_of_lost_pages_and_only_of_guarded_files(tmp_path: Path) -> None:
    for name in ("guarded", "other"):
        (tmp_path / name).write_bytes(b"abc".ljust(4096, b"\0") + b"x" * 12_288)

    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "guarded"), str(tmp_path / "other")],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("True\nthe others\n", -signal.SIGBUS), done.stderr
