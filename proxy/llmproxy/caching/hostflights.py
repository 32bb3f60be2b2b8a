"""Who fetches what on this host: one lock a key between its workers, and when answers were last kept.

A worker claims a key with a byte-range lock (fcntl(2), "Advisory record locking") on one of a few files in the bus's
private directory; the byte is the key's hash. Nobody serves these locks: the kernel frees those of a worker that dies,
and tells whose a held one is. Such a lock belongs to the process and goes when the process closes *any* descriptor of
the file, so each file is opened once and stays open; a forked child has none of its parent's.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.bus import Bus, Peer, StreamBroken
from llmproxy.caching.landings import SIZE, Landings
from llmproxy.caching.tailing import WorkerGone

if TYPE_CHECKING:
    from llmproxy.runtime import Runtime

#: What a worker calls its flights on the bus.
TOPIC: Final = "flights"

_FILES: Final = 64
_TRY: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_NAME_BYTES: Final = 2

#: `struct flock` as the C library of a 64-bit Linux lays it out, and that of a 32-bit one with large files.
_FLOCK: Final = struct.Struct("@hhqqi")

Tail = Callable[[bytes], AsyncGenerator[bytes, None]]


class HostFlights:
    """The claims of this process among the workers of its host; one object a process and directory.

    Raises:
        OSError: the files cannot be made.
    """

    def __init__(self, bus: Bus, directory: Path) -> None:
        self._bus = bus
        self._directory = directory / "flights"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._files: dict[int, int] = {}
        self._peers: dict[int, Peer] = {}
        self._tails: dict[str, Tail] = {}
        self._mine: set[int] = set()
        self._memory = self._map()
        self.landings = Landings(self._memory)
        self._leave = bus.serve_stream(TOPIC, self._serve)

    @classmethod
    @asynccontextmanager
    async def of(cls, runtime: Runtime) -> AsyncIterator[HostFlights | None]:
        """Hold the one of this process; None where there is no other worker."""
        directory = runtime.bus.directory
        if directory is None or sys.platform != "linux":
            yield None
            return
        make = partial(_opened, runtime.bus, directory)
        async with runtime.shared(_Of(str(directory)), make) as host:
            yield host

    def _map(self) -> mmap.mmap:
        file = os.open(self._directory / "landed", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, SIZE)
            return mmap.mmap(file, SIZE)
        finally:
            os.close(file)

    def close(self) -> None:
        """Free every claim, and be asked no more."""
        self._leave()
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    # The claims.

    def claim(self, place: int) -> bool:
        """Take a place if no other worker has it, and this one does not have it already."""
        if place in self._mine:
            return False
        file = self._files.get(place % _FILES)
        try:
            fcntl.lockf(self._open(place) if file is None else file, _TRY, 1, place)
        except OSError as error:
            # Where no lock is to be had at all, each worker does without.
            return error.errno not in {errno.EAGAIN, errno.EACCES}
        self._mine.add(place)
        return True

    def release(self, place: int) -> None:
        """Give a place back that was claimed."""
        if place in self._mine:
            self._mine.discard(place)
            fcntl.lockf(self._files[place % _FILES], fcntl.LOCK_UN, 1, place)

    def holder(self, place: int) -> Peer | None:
        """Return the other worker that has a place, None if nobody has or it cannot be reached."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        try:
            told = fcntl.fcntl(self._open(place), fcntl.F_GETLK, asked + bytes(8))
        except OSError:
            return None
        kind, _, _, _, pid = _FLOCK.unpack_from(told)
        return None if kind == fcntl.F_UNLCK else self._peer(pid)

    def _open(self, place: int) -> int:
        number = place % _FILES
        file = self._files.get(number)
        if file is None:
            path = self._directory / f"{number:02}"
            file = self._files[number] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return file

    def _peer(self, pid: int) -> Peer | None:
        if pid not in self._peers:
            self._peers = {peer.pid: peer for peer in self._bus.peers()}
        return self._peers.get(pid)

    # What the workers tell each other.

    def answer(self, name: str, tail: Tail) -> Callable[[], None]:
        """Have `tail(key)` serve the other workers that follow flights called `name`; return what ends it."""
        self._tails[name] = tail

        def end() -> None:
            if self._tails.get(name) is tail:
                del self._tails[name]

        return end

    async def follow(self, peer: Peer, name: str, key: bytes) -> AsyncGenerator[bytes, None]:
        """Follow another worker's flight; what comes are the frames of its `tail`.

        Raises:
            WorkerGone: its worker ended, or failed, before the stream was whole.
        """
        label = name.encode()
        payload = len(label).to_bytes(_NAME_BYTES, "big") + label + key
        async with aclosing(self._bus.stream(peer, TOPIC, payload)) as frames:
            try:
                async for frame in frames:
                    yield frame
            except StreamBroken:
                raise WorkerGone from None

    async def _serve(self, payload: bytes, follower: Peer) -> AsyncGenerator[bytes, None]:
        end = _NAME_BYTES + int.from_bytes(payload[:_NAME_BYTES], "big")
        tail = self._tails.get(payload[_NAME_BYTES:end].decode())
        if tail is None:
            return
        async with aclosing(tail(payload[end:])) as frames:
            async for frame in frames:
                yield frame


class _Of(NamedTuple):
    """What the process shares this under."""

    directory: str


@asynccontextmanager
async def _opened(bus: Bus, directory: Path) -> AsyncIterator[HostFlights]:
    host = HostFlights(bus, directory)
    try:
        yield host
    finally:
        host.close()
