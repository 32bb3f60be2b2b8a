"""What a worker that leads a flight tells one that follows it: what became of it, then the body's pieces.

The first frame says what there is; behind a head come pieces, each behind one byte, and the fault if it breaks off. The
bus itself says how it ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import msgspec

from llmproxy.body import Body
from llmproxy.errors import GatewayError, ProviderError, UpstreamError
from llmproxy.exchange import Usage

_PIECE: Final = b"\0"
_FAULT: Final = b"\1"
_USAGE: Final = b"\2"

#: Bytes of body in one frame, well below what the bus takes.
_MOST: Final = 1024 * 1024


class Head(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """A reply that may be shared; its body follows. `joinable` says whether later callers may still join it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    streamed: bool
    joinable: bool
    variant: bytes
    usage_added: bool
    upstream: str
    model: str | None


class LookAgain(msgspec.Struct, tag=2, array_like=True, frozen=True):
    """There is no such flight, or nobody here can take it over; so often has the upstream failed."""

    failures: int = 0


class GoAlone(msgspec.Struct, tag=3, array_like=True, frozen=True):
    """The answer is not to be shared."""


class Fault(msgspec.Struct, tag=4, array_like=True, frozen=True):
    """What whoever waits is told. `kind` is the class's name; `detail` what that class has beside the rest."""

    kind: str
    status: int
    code: str
    message: str
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    detail: tuple[str | bool | None, ...] = ()


Frame = Head | LookAgain | GoAlone | Fault
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)
_usages = msgspec.msgpack.Decoder(Usage)
_faults: msgspec.msgpack.Decoder[Fault] = msgspec.msgpack.Decoder(Fault)


class WorkerGone(UpstreamError):
    """The worker that fetched an answer ended before it was whole."""

    def __init__(self) -> None:
        message = "The worker that fetched this answer is gone."
        super().__init__("upstream_cut", message, phase="body", sent=True)


def encode(frame: Frame) -> bytes:
    """Return a first frame."""
    return _encoder.encode(frame)


async def first_of(frames: AsyncGenerator[bytes, None]) -> Frame:
    """Read the first frame.

    Raises:
        WorkerGone: there is none.
    """
    async for data in frames:
        try:
            return _decoder.decode(data)
        except msgspec.MsgspecError:
            break
    raise WorkerGone


async def frames_of(
    body: bytes | Body, usage: Callable[[], Usage | None] = lambda: None
) -> AsyncGenerator[bytes, None]:
    """Yield a body as frames, then what its call used, if that is known; one that breaks off ends with its fault."""
    async with aclosing(_body_frames(body)) as frames:
        async for frame in frames:
            yield frame
    used = usage()
    if used is not None:
        yield _USAGE + _encoder.encode(used)


async def _body_frames(body: bytes | Body) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        for start in range(0, len(body), _MOST):
            yield _PIECE + body[start : start + _MOST]
        return
    try:
        async with aclosing(body.pieces()) as pieces:
            async for piece in pieces:
                for start in range(0, len(piece), _MOST):
                    yield _PIECE + piece[start : start + _MOST]
    except Exception as fault:
        yield _FAULT + _encoder.encode(fault_of(fault))


class Pieces:
    """The pieces that frames hold; unlike a generator it closes what it reads even before the first.

    Iterating raises what the leader's body broke off with, or `WorkerGone` if its worker is.
    """

    __slots__ = ("_frames", "usage")

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self._frames = frames
        #: What the call used, if that was told; it comes last.
        self.usage: Usage | None = None

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        frame = await anext(self._frames)
        while frame[:1] == _USAGE:
            self.usage = _usages.decode(frame[1:])
            frame = await anext(self._frames)
        if frame[:1] == _FAULT:
            raise error_of(_faults.decode(frame[1:]))
        return frame[1:]

    async def aclose(self) -> None:
        """Leave the leader's worker."""
        await self._frames.aclose()


def fault_of(error: BaseException) -> Fault:
    """Return an error in a form that another worker can raise."""
    if not isinstance(error, GatewayError):
        # What it was is logged where it happened; its words may hold what nobody else should read.
        return Fault("GatewayError", 502, "upstream_cut", "The upstream's answer broke off.")
    detail: tuple[str | bool | None, ...] = ()
    if isinstance(error, UpstreamError):
        detail = (error.phase, error.sent)
    elif isinstance(error, ProviderError):
        detail = (error.kind, error.type, error.param)
    kind = next(each for each in (UpstreamError, ProviderError, GatewayError) if isinstance(error, each))
    return Fault(
        kind.__name__, error.status, error.code, error.message, error.retry_after, error.headers, detail
    )


def error_of(fault: Fault) -> GatewayError:
    """Return a fresh error that says the same."""
    told = GatewayError(fault.status, fault.code, fault.message)
    if fault.kind == "UpstreamError":
        phase, sent = fault.detail
        told = UpstreamError(
            fault.code, fault.message, phase=str(phase), sent=bool(sent), status=fault.status
        )
    elif fault.kind == "ProviderError":
        kind, name, param = fault.detail
        about = None if param is None else str(param)
        told = ProviderError(
            fault.status, fault.code, fault.message, kind=str(kind), type=str(name), param=about
        )
    told.retry_after, told.headers = fault.retry_after, fault.headers
    return told


def fresh(error: BaseException) -> BaseException:
    """Return an error equal to `error` that can be raised elsewhere: raised twice, one would collect tracebacks."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
