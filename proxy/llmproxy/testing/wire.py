"""HTTP/1.1 as bytes: reads heads and bodies strictly, ends connections as told."""

from __future__ import annotations

import array
import asyncio
import fcntl
import re
import socket
import struct
import termios
import time
from dataclasses import dataclass

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n")
HEAD_LIMIT = 1 << 20


class WireFault(ValueError):
    """What arrived is not HTTP/1.1 to the letter (RFC 9112)."""


class CutShort(WireFault):
    """The connection ended inside a message; `received` is what had come of the part cut."""

    def __init__(self, part: str, received: bytes) -> None:
        super().__init__(f"the connection ended inside the {part}, after {len(received)} bytes of it")
        self.received = received


@dataclass(frozen=True, slots=True)
class Head:
    """A start line and header fields, in the order and spelling received."""

    start: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    raw: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of the field `name`."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def get(self, name: str) -> str | None:
        """Return the field's value, several joined by a comma, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Payload:
    """A body with its framing taken off; `chunks` is None when it was not chunked."""

    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    trailers: tuple[tuple[bytes, bytes], ...] = ()


def parse_head(raw: bytes) -> Head:
    """Read a head with its blank line; refuse bare LF, folded lines and spaces before a colon."""
    start, *lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    return Head(start, tuple(_field(line) for line in lines), raw)


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise WireFault(f"{line!r} is no header field")
    return found[1], found[2]


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read the next head, or return None when the peer has closed between messages."""
    try:
        return parse_head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as cut:
        if cut.partial:
            raise CutShort("head", cut.partial) from None
        return None


async def read_payload(reader: asyncio.StreamReader, head: Head, *, until_close: bool) -> Payload:
    """Read the body `head` announces; with no length, all until the close if `until_close`, else nothing."""
    codings, lengths = head.all("transfer-encoding"), set(head.all("content-length"))
    if codings:
        if lengths or [coding.lower() for coding in codings] != ["chunked"]:
            raise WireFault(f"Transfer-Encoding {codings!r} with Content-Length {sorted(lengths)!r}")
        return await _read_chunks(reader)
    if not lengths:
        return Payload(await reader.read() if until_close else b"")
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise WireFault(f"Content-Length {head.all('content-length')!r}")
    try:
        return Payload(await reader.readexactly(int(length)))
    except asyncio.IncompleteReadError as cut:
        raise CutShort("body", cut.partial) from None


async def _read_chunks(reader: asyncio.StreamReader) -> Payload:
    chunks: list[bytes] = []
    try:
        while size := _chunk_size(await reader.readuntil(b"\r\n")):
            data = await reader.readexactly(size + 2)
            if not data.endswith(b"\r\n"):
                raise WireFault(f"a chunk of {size} bytes goes on with {data[-2:]!r}")
            chunks.append(data[:-2])
        trailers = []
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers.append(_field(line[:-2]))
    except asyncio.IncompleteReadError as cut:
        raise CutShort("chunked body", b"".join(chunks) + cut.partial) from None
    return Payload(b"".join(chunks), tuple(chunks), tuple(trailers))


def _chunk_size(line: bytes) -> int:
    found = _CHUNK.fullmatch(line)
    if found is None:
        raise WireFault(f"{line!r} is no chunk size")
    return int(found[1], 16)


def chunk(data: bytes) -> bytes:
    """Frame `data` as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def reset(transport: asyncio.WriteTransport) -> None:
    """Drop the connection with RST instead of FIN; what the peer's kernel has not taken is lost."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def flush(transport: asyncio.WriteTransport, *, within: float = 1.0) -> None:
    """Wait until the peer's kernel has everything written so far, or `within` seconds have passed."""
    sock = transport.get_extra_info("socket")
    unsent = array.array("i", [0])
    deadline = time.monotonic() + within
    while not transport.is_closing() and time.monotonic() < deadline:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, unsent)
        if not unsent[0] and not transport.get_write_buffer_size():
            return
        await asyncio.sleep(0.001)
