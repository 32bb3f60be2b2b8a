"""Vectors from an upstream that serves `/embeddings` as OpenAI does, to everyone who has a model of his own choice.

Source: OpenAI's API reference, "Create embeddings".
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.plugin import BodyTooLarge, GatewayError
from llmproxy_semantic.canonical import NAME
from llmproxy_semantic.embedder import MISSING, Unavailable
from llmproxy_semantic.embedding import MOST_ASKED, MOST_LATER, EmbeddingFault, Full, Late, Purpose

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.embedder import Vector

#: Stored texts that are asked for at once; questions are as they come.
_AT_ONCE_LATER: Final = 2
#: Seconds that one call may take: a question's vector may be late, and is at hand for what is stored next.
_WITHIN: Final = 10.0
#: Seconds in which nobody is asked after failures in a row: the first, and the most.
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class _Datum(msgspec.Struct):
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Datum]


class _Request(msgspec.Struct):
    model: str
    input: str
    encoding_format: str = "float"


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.Encoder().encode


class _Line:
    """Calls that are not done, by their texts, and how many of them are made at once; who asks for the same joins."""

    def __init__(self, at_once: int, most: int) -> None:
        self.at_once = asyncio.Semaphore(at_once)
        self.most = most
        self.calls: dict[str, asyncio.Task[Vector | Exception]] = {}


class Remote:
    """An upstream's embeddings model; what it is down with is not asked for again for a while."""

    def __init__(self, upstream: str, model: str, runtime: Runtime) -> None:
        self.id = f"{upstream}/{model}/{NAME}"
        self.dims = 0
        self.wait = 0.0
        self._model = model
        self._upstream = upstream
        self._runtime = runtime
        self._now = runtime.clock.now
        self._np: Any = None
        self._lines = {"lookup": _Line(MOST_ASKED, MOST_ASKED), "store": _Line(_AT_ONCE_LATER, MOST_LATER)}
        self._failures = 0
        self._resume = float("-inf")

    async def ready(self) -> None:
        """Be ready soon: the upstream is asked when something is wanted of it.

        Raises:
            Unavailable: numpy is missing.
        """
        try:
            self._np = await asyncio.to_thread(import_module, "numpy")
        except ImportError:
            raise Unavailable(MISSING) from None

    async def vector(self, text: str, purpose: Purpose, late: Late) -> Vector:
        """Ask for a text's vector; a call that was begun is not broken off.

        Raises:
            EmbeddingFault: the upstream fails, or did so a moment ago.
            Full: too many wait for it.
            Unavailable: there is no such upstream.
        """
        line = self._lines[purpose]
        call = line.calls.get(text)
        if call is None:
            if len(line.calls) >= line.most:
                raise Full
            if self._now() < self._resume:
                raise EmbeddingFault("the upstream failed a moment ago")
            call = self._runtime.spawn(self._call(text, line), name="ask-embedding")
            assert call is not None  # every worker asks
            line.calls[text] = call
        try:
            told: Vector | Exception = await asyncio.shield(call)
        except asyncio.CancelledError:
            call.add_done_callback(partial(_hand_over, late))
            raise
        if isinstance(told, Exception):
            raise told
        return told

    async def _call(self, text: str, line: _Line) -> Vector | Exception:
        try:
            if self._np is None:
                await self.ready()
            async with line.at_once:
                vector = await self._answered(text)
        except Exception as fault:
            self._rest()
            return fault
        finally:
            del line.calls[text]
        self._failures = 0
        return vector

    def _rest(self) -> None:
        pause = _PAUSE * 2 ** min(self._failures, 10)
        self._failures += 1
        self._resume = self._now() + min(pause, _LONGEST_PAUSE)

    async def _answered(self, text: str) -> Vector:
        try:
            body = _encode(_Request(self._model, text))
            reply = await self._runtime.ask(self._upstream, "/embeddings", body, within=_WITHIN)
        except GatewayError as fault:
            raise EmbeddingFault(fault.code) from None
        except BodyTooLarge:
            raise EmbeddingFault("the upstream's answer is too large") from None
        except LookupError as fault:
            raise Unavailable(str(fault)) from None
        if reply.status != 200:
            raise EmbeddingFault(f"the upstream answers {reply.status}")
        try:
            data = _decode(reply.body).data  # type: ignore[arg-type]  # the whole of it
        except msgspec.MsgspecError:
            raise EmbeddingFault("the upstream's answer holds no embedding") from None
        return self._unit(data)

    def _unit(self, data: list[_Datum]) -> Vector:
        np = self._np
        vector = np.array(data[0].embedding if len(data) == 1 else [])
        with np.errstate(over="ignore"):
            length = float(np.linalg.norm(vector))
        if not 0.0 < length < float("inf"):
            raise EmbeddingFault("the upstream's answer holds no embedding")
        if self.dims not in (0, len(vector)):
            raise EmbeddingFault(
                f"the upstream's vectors had {self.dims} numbers, and have {len(vector)} now"
            )
        self.dims = len(vector)
        unit: Vector = (vector / length).astype(np.float32)
        return unit


def _hand_over(late: Late, call: asyncio.Task[Vector | Exception]) -> None:
    if not call.cancelled() and not isinstance(told := call.result(), Exception):
        late(told)
