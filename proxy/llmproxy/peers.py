"""How two workers talk on the bus: its messages, the way out to one peer, what comes in from one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

from llmproxy.framing import BadFrame, FrameDecoder, encode_frame
from llmproxy.tasks import spawn

MAX_PAYLOAD = 8 * 1024 * 1024

FRAME_LIMIT = MAX_PAYLOAD + 4096  # a payload with its topic and framing
_QUEUED_MESSAGES = 1024
_QUEUED_BYTES = 32 * 1024 * 1024
_STREAM_WINDOW = 64 * 1024

_log = structlog.get_logger("llmproxy")

T = TypeVar("T")


class Peer(msgspec.Struct, frozen=True, order=True):
    """One worker process: a slot is used by several, one after the other."""

    slot: int
    pid: int

    @property
    def file_name(self) -> str:
        """The name of its socket in the bus's directory."""
        return f"slot-{self.slot}.{self.pid}.sock"

    @classmethod
    def from_file_name(cls, name: str) -> Peer | None:
        """Return the peer whose socket has this name, None if it is no peer's."""
        kind, _, rest = name.partition("-")
        slot, _, rest = rest.partition(".")
        pid, _, ending = rest.partition(".")
        if (kind, ending) != ("slot", "sock") or not (slot.isdecimal() and pid.isdecimal()):
            return None
        return cls(int(slot), int(pid))


class Hello(msgspec.Struct, tag=True, frozen=True):
    """Who talks; the first message on a connection."""

    peer: Peer


class Publish(msgspec.Struct, tag=True, frozen=True):
    topic: str
    payload: bytes


class Question(msgspec.Struct, tag=True, frozen=True):
    id: int
    topic: str
    payload: bytes


class Follow(msgspec.Struct, tag=True, frozen=True):
    """Make this connection a stream."""

    topic: str
    payload: bytes


class Reply(msgspec.Struct, tag=True, frozen=True):
    """The answer to a question; without a payload, the reason why there is none."""

    id: int
    payload: bytes | None
    reason: str = ""


class Chunk(msgspec.Struct, tag=True, frozen=True):
    data: bytes


class End(msgspec.Struct, tag=True, frozen=True):
    """The stream is whole, or was broken for this reason."""

    reason: str = ""


Said = Hello | Publish | Question | Follow
_said: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)
_replied: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_streamed: msgspec.msgpack.Decoder[Chunk | End] = msgspec.msgpack.Decoder(Chunk | End)

Subscriber = Callable[[bytes, Peer], Awaitable[None] | None]
Answerer = Callable[[bytes, Peer], Awaitable[bytes] | bytes]
Streamer = Callable[[bytes, Peer], AsyncGenerator[bytes, None]]


class StreamBroken(Exception):
    """A stream from another worker ended before it was whole."""


class Topics(Generic[T]):
    """Handlers by topic. While two generations overlap a topic has two; the newest is last."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[T]] = {}

    def add(self, topic: str, handler: T) -> Callable[[], None]:
        """Add a handler; return what removes it."""
        self._handlers.setdefault(topic, []).append(handler)

        def remove() -> None:
            with suppress(KeyError, ValueError):
                self._handlers[topic].remove(handler)
                if not self._handlers[topic]:
                    del self._handlers[topic]

        return remove

    def all(self, topic: str) -> tuple[T, ...]:
        """Return the handlers of a topic, oldest first."""
        return tuple(self._handlers.get(topic, ()))

    def newest(self, topic: str) -> T | None:
        """Return the handler that was added last."""
        handlers = self._handlers.get(topic)
        return handlers[-1] if handlers else None


@dataclass(frozen=True, slots=True)
class Handlers:
    """What this worker does with what others say."""

    subscribers: Topics[Subscriber] = field(default_factory=Topics)
    answerers: Topics[Answerer] = field(default_factory=Topics)
    streamers: Topics[Streamer] = field(default_factory=Topics)


async def _receive(reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[T]) -> AsyncIterator[T]:
    frames = FrameDecoder(decoder, FRAME_LIMIT)
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            for message in frames.feed(data):
                yield message


class Outbound:
    """The way to one peer: what is said goes in order through one connection, or is dropped and counted.

    Nothing here waits for the peer: a stopped one fills its queue, a dead one ends the link.
    """

    def __init__(self, me: Peer, peer: Peer, path: Path) -> None:
        self._me = me
        self._peer = peer
        self._path = path
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED_MESSAGES)
        self._queued_bytes = 0
        self._asked: dict[int, asyncio.Future[Reply]] = {}
        self.dropped = 0
        self.task = spawn(self._talk(), name=f"bus-to-{peer.slot}.{peer.pid}")

    def say(self, frame: bytes) -> bool:
        """Queue a frame; return False, and count it, if the queue is full."""
        if self._queued_bytes + len(frame) > _QUEUED_BYTES or self._queue.full():
            self.dropped += 1
            return False
        self._queue.put_nowait(frame)
        self._queued_bytes += len(frame)
        return True

    def ask(self, number: int, frame: bytes) -> asyncio.Future[Reply]:
        """Queue a question; the future has its reply, one without payload if the peer is gone or full."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        future.add_done_callback(lambda _: self._asked.pop(number, None))
        if self.task.done():
            future.set_result(Reply(number, None, "gone"))
        elif not self.say(frame):
            future.set_result(Reply(number, None, "its queue is full"))
        return future

    async def _talk(self) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            self._fail_asked()
            return
        replies = spawn(self._hear(reader), name="bus-replies")
        sending = spawn(self._send(writer), name="bus-send")
        try:
            await asyncio.wait((replies, sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            replies.cancel()
            sending.cancel()
            writer.transport.abort()
            self._fail_asked()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(Hello(self._me)))
        with suppress(ConnectionError):
            while True:
                frame = await self._queue.get()
                self._queued_bytes -= len(frame)
                writer.write(frame)
                await writer.drain()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        async for reply in _receive(reader, _replied):
            future = self._asked.get(reply.id)
            if future is not None and not future.done():
                future.set_result(reply)

    def _fail_asked(self) -> None:
        for number, future in list(self._asked.items()):
            if not future.done():
                future.set_result(Reply(number, None, "gone"))


class Inbound:
    """One connection from another worker: its publications in order, its questions at once, or one stream."""

    def __init__(
        self, handlers: Handlers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._handlers = handlers
        self._reader = reader
        self._writer = writer
        self._peer = Peer(-1, -1)

    async def serve(self) -> None:
        """Serve the connection until it ends."""
        try:
            async for message in _receive(self._reader, _said):
                await self._take(message)
        except BadFrame as error:
            _log.error("bus_frame_refused", slot=self._peer.slot, reason=str(error))
        finally:
            self._writer.transport.abort()

    async def _take(self, message: Said) -> None:
        match message:
            case Hello():
                self._peer = message.peer
            case Publish():
                await self._deliver(message)
            case Question():
                # in a task of its own: a slow answer does not hold up what is published behind it
                _ = spawn(self._answer(message), name=f"bus-answer {message.topic}")
            case Follow():
                await self._stream(message)

    async def _deliver(self, message: Publish) -> None:
        for subscriber in self._handlers.subscribers.all(message.topic):
            try:
                told = subscriber(message.payload, self._peer)
                if inspect.isawaitable(told):
                    await told
            except Exception:
                _log.exception("bus_subscriber_failed", topic=message.topic)

    async def _answer(self, message: Question) -> None:
        reply = await self._make_reply(message)
        if not self._writer.is_closing():
            self._writer.write(encode_frame(reply, FRAME_LIMIT))

    async def _make_reply(self, message: Question) -> Reply:
        answerer = self._handlers.answerers.newest(message.topic)
        if answerer is None:
            return Reply(message.id, None, "it has no answer to this topic")
        try:
            answer = answerer(message.payload, self._peer)
            payload = await answer if inspect.isawaitable(answer) else answer
        except Exception as fault:
            _log.exception("bus_answer_failed", topic=message.topic)
            return Reply(message.id, None, f"it failed with {type(fault).__name__}")
        if len(payload) > MAX_PAYLOAD:
            return Reply(message.id, None, f"its answer is longer than {MAX_PAYLOAD} bytes")
        return Reply(message.id, payload)

    async def _stream(self, message: Follow) -> None:
        """Send chunks as fast as the follower takes them; stop when it leaves."""
        pump = spawn(self._pump(message), name=f"bus-stream {message.topic}")
        try:
            await (
                self._reader.read()
            )  # a follower says nothing more: this ends when it leaves, or the pump does
        finally:
            pump.cancel()

    async def _pump(self, message: Follow) -> None:
        streamer = self._handlers.streamers.newest(message.topic)
        self._writer.transport.set_write_buffer_limits(high=_STREAM_WINDOW)
        if streamer is None:
            end = End("it has no such stream")
        else:
            end = await self._send_chunks(streamer(message.payload, self._peer), message.topic)
        with suppress(ConnectionError):
            self._writer.write(encode_frame(end))
            await self._writer.drain()
        self._writer.close()

    async def _send_chunks(self, chunks: AsyncGenerator[bytes, None], topic: str) -> End:
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    self._writer.write(encode_frame(Chunk(chunk), FRAME_LIMIT))
                    await self._writer.drain()
        except ConnectionError:
            return End("the follower left")
        except Exception as fault:
            _log.exception("bus_stream_failed", topic=topic)
            return End(f"it failed with {type(fault).__name__}")
        return End()


async def follow(me: Peer, path: Path, topic: str, payload: bytes) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a stream served at `path`; raise `StreamBroken` if it ends early."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_STREAM_WINDOW)
    except OSError as error:
        raise StreamBroken("the worker is gone") from error
    try:
        writer.write(encode_frame(Hello(me)) + encode_frame(Follow(topic, payload), FRAME_LIMIT))
        async for message in _receive(reader, _streamed):
            if isinstance(message, End):
                if message.reason:
                    raise StreamBroken(message.reason)
                return
            yield message.data
        raise StreamBroken("the worker is gone")
    finally:
        writer.transport.abort()
