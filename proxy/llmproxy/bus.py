"""The workers' bus: Unix sockets in one private directory, every worker to every other, no broker.

Each process listens on a socket named after its slot and its pid, so a worker that drains and its successor
are two peers, and both hear. A message goes to the *other* workers; what it means for this one, the caller
does itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmproxy.framing import encode_frame
from llmproxy.peers import (
    FRAME_LIMIT,
    MAX_PAYLOAD,
    Answerer,
    Handlers,
    Inbound,
    Outbound,
    Peer,
    Publish,
    Question,
    StreamBroken,
    Streamer,
    Subscriber,
    follow,
)
from llmproxy.tasks import spawn

__all__ = ["Answers", "Bus", "Peer", "StreamBroken"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the other workers answered, and why some did not."""

    payloads: dict[Peer, bytes]
    missing: dict[Peer, str]


class Bus:
    """Publish to, ask and follow the other workers of this host.

    A worker alone has no `directory`: its bus has no peers, so publishing reaches nobody and nobody answers.
    """

    def __init__(self, directory: Path | None, slot: int) -> None:
        self.me = Peer(slot, os.getpid())
        self._directory = directory
        self._handlers = Handlers()
        self._links: dict[Peer, Outbound] = {}
        self._inbound: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._numbers = itertools.count(1)
        self._dropped = 0

    async def start(self) -> None:
        """Be reachable for the other workers; subscribe and answer before."""
        if self._directory is not None:
            sock = _listen(self._directory / self.me.file_name)
            self._server = await asyncio.start_unix_server(self._accept, sock=sock)

    async def close(self) -> None:
        """Leave the bus."""
        if self._directory is not None:
            with suppress(OSError):
                (self._directory / self.me.file_name).unlink()
        if self._server is not None:
            self._server.close()
        tasks = [*self._inbound, *(link.task for link in self._links.values())]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def directory(self) -> Path | None:
        """What this host's workers share while they run; None for a worker alone."""
        return self._directory

    @property
    def dropped(self) -> int:
        """How many messages were not sent because a peer did not take them."""
        return self._dropped + sum(link.dropped for link in self._links.values())

    def peers(self) -> list[Peer]:
        """Return the other workers that live now, draining ones too."""
        if self._directory is None:
            return []
        found = (Peer.from_file_name(name) for name in os.listdir(self._directory))
        return sorted(peer for peer in found if peer is not None and peer != self.me)

    def subscribe(self, topic: str, handler: Subscriber) -> Callable[[], None]:
        """Have `handler(payload, sender)` called, in each sender's order; return what ends it."""
        return self._handlers.subscribers.add(topic, handler)

    def answer(self, topic: str, handler: Answerer) -> Callable[[], None]:
        """Have `handler(payload, asker)` answer questions; the newest handler of a topic counts."""
        return self._handlers.answerers.add(topic, handler)

    def serve_stream(self, topic: str, handler: Streamer) -> Callable[[], None]:
        """Have the async generator `handler(payload, follower)` feed followers at their own pace."""
        return self._handlers.streamers.add(topic, handler)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Tell all other workers, at most once, in order, without waiting for any of them."""
        _check(payload)
        frame = encode_frame(Publish(topic, payload), FRAME_LIMIT)
        for peer in self.peers():
            self._link(peer).say(frame)

    async def ask(self, topic: str, payload: bytes = b"", *, timeout: float = 1.0) -> Answers:
        """Ask all other workers; one that does not answer within `timeout` seconds is told as missing."""
        _check(payload)
        number = next(self._numbers)
        frame = encode_frame(Question(number, topic, payload), FRAME_LIMIT)
        asked = {self._link(peer).ask(number, frame): peer for peer in self.peers()}
        answers = Answers({}, {})
        if not asked:
            return answers
        _, late = await asyncio.wait(asked, timeout=timeout)
        for future, peer in asked.items():
            if future in late:
                future.cancel()
                answers.missing[peer] = f"it did not answer within {timeout:g} s"
            elif (reply := future.result()).payload is None:
                answers.missing[peer] = reply.reason
            else:
                answers.payloads[peer] = reply.payload
        return answers

    def stream(self, peer: Peer, topic: str, payload: bytes = b"") -> AsyncGenerator[bytes, None]:
        """Follow a stream that `peer` serves; it is held back while this end does not read.

        Close the generator (`contextlib.aclosing`) to leave early.

        Raises:
            StreamBroken: the stream ended before it was whole.
        """
        _check(payload)
        if self._directory is None:
            raise StreamBroken("there is no other worker")
        return follow(self.me, self._directory / peer.file_name, topic, payload)

    def _link(self, peer: Peer) -> Outbound:
        link = self._links.get(peer)
        if link is None or link.task.done():
            self._forget_ended()
            assert self._directory is not None
            link = self._links[peer] = Outbound(self.me, peer, self._directory / peer.file_name)
        return link

    def _forget_ended(self) -> None:
        for peer in [peer for peer, link in self._links.items() if link.task.done()]:
            self._dropped += self._links.pop(peer).dropped

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = spawn(Inbound(self._handlers, reader, writer).serve(), name="bus-inbound")
        self._inbound.add(task)
        task.add_done_callback(self._inbound.discard)


def _check(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(
            f"a payload of {len(payload)} bytes is longer than the {MAX_PAYLOAD} that may be sent"
        )


def _listen(path: Path) -> socket.socket:
    """Listen before the name appears, so that whoever sees it can connect."""
    unborn = path.with_suffix(".sock.new")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(str(unborn))
        sock.listen(128)
        unborn.rename(path)
    except BaseException:
        sock.close()
        raise
    return sock
