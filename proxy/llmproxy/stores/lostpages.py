"""Pages of a mapped file that cannot be read: zeros are read in their place, and whoever mapped the file is told.

A page beyond the end that a file has now, or one that the disk does not give, ends the process by SIGBUS. What Python
calls a signal handler runs too late: the instruction that failed is repeated for ever. So libc is given a handler that
runs at once, in the thread that failed. All that this thread was doing is to read or write the mapped memory, so the
handler may do anything: it puts empty memory there, tells the users of the file, and has the instruction repeated. Any
other SIGBUS ends the process as before. Where there is no /proc or another kind of libc, nothing is changed at all.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from weakref import WeakSet

_SIGINFO: Final = 4  # SA_SIGINFO: the handler is told the address
_NODEFER: Final = 0x40000000  # SA_NODEFER: what a user does when it is told may fail likewise
_ADDRESS: Final = 16  # where siginfo_t has it, on 64 bits
_FIXED: Final = 0x10  # MAP_FIXED
_FAILED: Final = ctypes.c_void_p(-1).value

_Handler: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Mapper(Protocol):
    """What has a file mapped."""

    def pages_lost(self) -> None:
        """The file's pages were lost: what is read of it may be zeros from now on."""


class _Action(ctypes.Structure):
    """Libc's struct sigaction on Linux, 64 bits."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class Mapping(NamedTuple):
    """A line of /proc/self/maps."""

    end: int
    writable: bool
    path: str


_mappers: Final[dict[str, WeakSet[Mapper]]] = {}
_kept: Final[list[object]] = []


def guard(path: Path, mapper: Mapper) -> None:
    """Have a mapper of a file told of lost pages, for as long as it lives, instead of ending the process."""
    if not _supported():
        return
    if not _kept:
        _install()
    _mappers.setdefault(os.path.realpath(path), WeakSet()).add(mapper)


def _supported() -> bool:
    return sys.platform == "linux" and sys.maxsize > 1 << 32 and Path("/proc/self/maps").exists()


def _install() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )

    def handle(number: int, info: int, context: int) -> None:
        mended = False
        with suppress(BaseException):
            mended = _put_zeros(libc, ctypes.c_size_t.from_address(info + _ADDRESS).value)
        if not mended:
            libc.sigaction(number, ctypes.byref(_Action()), None)  # what has no handler ends the process

    handler = _Handler(handle)
    action = _Action(handler=ctypes.cast(handler, ctypes.c_void_p), flags=_SIGINFO | _NODEFER)
    _kept.append(handler)
    libc.sigaction(int(signal.SIGBUS), ctypes.byref(action), None)


def _put_zeros(libc: ctypes.CDLL, address: int) -> bool:
    """Put empty memory from a lost page on to the end of its mapping, if its file has a mapper."""
    found = _mapping(address)
    mappers = list(_mappers.get(found.path, ())) if found is not None else []
    if found is None or not mappers:
        return False
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    allowed = mmap.PROT_READ | (mmap.PROT_WRITE if found.writable else 0)
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED
    if libc.mmap(start, found.end - start, allowed, kind, -1, 0) == _FAILED:
        return False
    for mapper in mappers:
        mapper.pages_lost()
    return True


def _mapping(address: int) -> Mapping | None:
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, allowed, _, _, _, *path = line.split(maxsplit=5)
        start, end = (int(edge, 16) for edge in place.split("-"))
        if start <= address < end:
            return Mapping(end, "w" in allowed, path[0].removesuffix(" (deleted)") if path else "")
    return None
