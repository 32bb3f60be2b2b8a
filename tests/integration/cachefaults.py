"""Callers of both caches over one gateway, whose every answer is judged while its store is spoilt.

What the origin answers says whose request it was made for, of what it is, and in which version, as often as makes its
size. A version changes just before a purge; once that has returned, whoever asks must see it or a later one.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson

from llmproxy.tasks import spawn
from llmproxy.testing import RawClient, RawReply

from .origin import Asked, CountingOrigin
from .process import GatewayProcess

TENANTS = ("ann", "bob")
RESOURCES = 6
#: Bytes of the answers by the number of what was asked for: written on the loop, in a thread, in many pages.
SIZES = (100, 20_000, 90_000)
SLOW = "5"  # what the origin takes its time for
TOKEN = "admin-token-0123456789"

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
stores:
  main: {{url: "{store}"{more}}}
upstreams:
  origin: {{base_url: "{origin}", dialect: http, proxy: null}}
  provider: {{base_url: "{origin}/v1", dialect: openai, proxy: null}}
plugins:
  access: {{keys: [{keys}]}}
  httpcache: {{store: main}}
  answers: {{use: cache, store: main}}
pipeline: [access]
log: {{level: warning}}
routes:
  - name: items
    match: {{path: "/items/*"}}
    upstream: origin
    plugins: [httpcache: {{profile: rfc9111, consistency: {consistency}}}]
  - name: chat
    match: {{path: "/v1/*"}}
    upstream: provider
    plugins: [answers: {{profile: deterministic, consistency: {consistency}}}]
"""

_FAULT = re.compile(
    r'llmproxy_cache_store_faults_total\{store="main",operation="(\w+)",fault="(\w+)"\} (\d+)'
)


def key_of(tenant: str) -> str:
    """Return a tenant's key."""
    return f"key-of-{tenant}-0123456789"


def text_of(tenant: str, what: str, version: int) -> str:
    """Return what the origin says of a thing, in a version, to a tenant."""
    token = f"{tenant}|{what}|{version};"
    return token * (SIZES[int(what[-1]) % len(SIZES)] // len(token) + 1)


class Origin(CountingOrigin):
    """An HTTP API and a model provider in one: `async with Origin() as origin`."""

    async def answer(self, writer: asyncio.StreamWriter, asked: Asked) -> None:
        caller, path = asked.fields["x-caller"], asked.target
        if path.startswith("/v1/"):
            await self._complete(writer, caller, orjson.loads(asked.body))
            return
        body = text_of(caller, path, self.versions[path]).encode()
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: public, max-age=3600\r\n"
        head += f"Surrogate-Key: {path[1:].replace('/', '-')}\r\n"
        await self.write_body(writer, head, body, piece=15_000 if path.endswith(SLOW) else 0)

    async def _complete(self, writer: asyncio.StreamWriter, caller: str, asked: dict[str, object]) -> None:
        prompt = asked["messages"][0]["content"]  # type: ignore[index]
        text = text_of(caller, prompt, self.versions["chat"])
        answer = {"id": "c1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            told = {**answer, "object": "chat.completion", "choices": [choice], "usage": usage}
            body = orjson.dumps(told)
            await self.write_body(writer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", body)
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        step = len(text) // 4 + 1
        deltas: list[dict[str, object]] = [
            {"content": text[at : at + step]} for at in range(0, len(text), step)
        ]
        for delta in [*deltas, {}]:
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            told = {**answer, "object": "chat.completion.chunk", "choices": [choice]}
            event = b"data: %b\n\n" % orjson.dumps(told)
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0.001)
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


@dataclass(slots=True)
class Callers:
    """Callers who ask without a pause worth mention, one who purges, and what they have seen."""

    origin: Origin
    url: str
    admin_url: str
    floors: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    #: Connections that ended before the answer had come.
    broken: int = 0
    #: Seconds that the slowest answer took since this was last set to 0.
    slowest: float = 0.0
    last: deque[bool] = field(default_factory=lambda: deque(maxlen=100))
    purges: Counter[int] = field(default_factory=Counter)

    @asynccontextmanager
    async def asking(self, callers: int = 6) -> AsyncIterator[Self]:
        """Ask in the background, and purge."""
        tasks = [spawn(self._ask_on(random.Random(number)), name="caller") for number in range(callers)]
        tasks.append(spawn(self._purge_on(random.Random(99)), name="purger"))
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            done, _ = await asyncio.wait(tasks)
        for task in done:
            if not task.cancelled() and (fault := task.exception()) is not None:
                raise fault

    async def more(self, answers: int, within: float = 30.0) -> None:
        """Wait for so many more answers."""
        wanted = self.answers + answers
        await self._until(lambda: self.answers >= wanted, within, f"{answers} more answers")

    async def hit_again(self, within: float = 20.0) -> None:
        """Wait until a good part of the answers are hits."""
        self.last.clear()
        await self._until(lambda: sum(self.last) >= 40, within, "hits")

    async def _until(self, reached: object, within: float, what: str) -> None:
        assert callable(reached)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not reached():
                    await asyncio.sleep(0.01)
        assert reached(), f"no {what} within {within} s; {self}"

    def __str__(self) -> str:
        return (
            f"{self.answers} answers, {self.broken} broken off, slowest {self.slowest:.3f} s, "
            f"{sum(self.last)} hits of the last {len(self.last)}, purges {dict(self.purges)}, wrong {self.wrong[:3]}"
        )

    async def _ask_on(self, chance: random.Random) -> None:
        while True:
            with suppress(OSError, EOFError, ValueError):
                async with RawClient(self.url, timeout=30.0) as client:
                    for _ in range(chance.randrange(1, 30)):
                        try:
                            await self._ask(client, chance)
                        except (OSError, EOFError, ValueError):
                            self.broken += 1
                            raise
                        await asyncio.sleep(0.003)
            await asyncio.sleep(0.005)

    async def _ask(self, client: RawClient, chance: random.Random) -> None:
        tenant, number, kind = chance.choice(TENANTS), chance.randrange(RESOURCES), chance.randrange(4)
        what = f"/items/{number}" if kind < 2 else f"p{number}"
        named = what if kind < 2 else "chat"
        floor, begun = self.floors[named], asyncio.get_running_loop().time()
        if kind < 2:
            reply = await client.exchange(request("GET", what, tenant))
        else:
            reply = await client.exchange(_prompt(tenant, what, stream=kind == 2))
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - begun)
        self.answers += 1
        self.last.append("; hit" in (reply.header("cache-status") or ""))
        self._judge(tenant, what, (floor, self.origin.versions[named]), reply)

    def _judge(self, tenant: str, what: str, versions: tuple[int, int], reply: RawReply) -> None:
        status = reply.header("cache-status")
        if reply.status != 200:
            self.wrong.append(f"{tenant} {what}: {reply.status} {reply.body[:200]!r} ({status})")
            return
        text = _said(reply)
        version = text.partition(";")[0].rpartition("|")[2]
        if not version.isdigit() or text != text_of(tenant, what, int(version)):
            self.wrong.append(f"{tenant} {what} was answered {text[:60]!r}... ({len(text)}, {status})")
        elif not versions[0] <= int(version) <= versions[1]:
            self.wrong.append(f"{tenant} {what}: {version} is none of {versions} ({status})")

    async def _purge_on(self, chance: random.Random) -> None:
        while True:
            with suppress(OSError, EOFError, ValueError):
                async with RawClient(self.admin_url, timeout=30.0) as admin:
                    while True:
                        await asyncio.sleep(0.1)
                        await self._purge(admin, chance)

    async def _purge(self, admin: RawClient, chance: random.Random) -> None:
        """Purge one thing; 503 says that other hosts could not be told, and this one obeys all the same."""
        number = chance.randrange(RESOURCES * 4)
        what = f"/items/{number}" if number < RESOURCES else "chat"
        if number >= RESOURCES + 1:
            return
        order = {"routes": ["chat"]} if what == "chat" else {"tags": [what[1:].replace("/", "-")]}
        self.origin.versions[what] += 1
        version = self.origin.versions[what]
        reply = await admin.exchange(
            request("POST", "/cache/purge", "", f"Authorization: Bearer {TOKEN}", body=orjson.dumps(order))
        )
        self.purges[reply.status] += 1
        if reply.status not in (200, 503):
            self.wrong.append(f"purge: {reply.status} {reply.body[:200]!r}")
        self.floors[what] = max(version, self.floors[what])


@dataclass(slots=True)
class Scene:
    """A gateway over a store, with callers."""

    gateway: GatewayProcess
    callers: Callers

    async def faults(self) -> Counter[str]:
        """Return how often each operation on the store failed so far, by operation and fault."""
        async with RawClient(self.gateway.admin_url) as admin:
            reply = await admin.exchange(request("GET", "/metrics", "", f"Authorization: Bearer {TOKEN}"))
        told = {f"{what} {fault}": int(n) for what, fault, n in _FAULT.findall(reply.body.decode())}
        return Counter(told)


@asynccontextmanager
async def scene(
    folder: Path, store: str, *, more: str = "", workers: int = 2, consistency: str = "eventual"
) -> AsyncIterator[Scene]:
    """Start a gateway over the store of a URL, and callers; `more` are further keys of the store's section."""
    keys = ", ".join(
        f'{{name: {name}, tenant: {name}, key: "${{env:KEY_{name.upper()}}}"}}' for name in TENANTS
    )
    environ = {"ADMIN_TOKEN": TOKEN, **{f"KEY_{name.upper()}": key_of(name) for name in TENANTS}}
    async with Origin() as origin:
        text = CONFIG.format(store=store, more=more, origin=origin.url, keys=keys, consistency=consistency)
        (folder / "gateway.yaml").write_text(text)
        process = GatewayProcess(
            "-c", folder / "gateway.yaml", "--workers", str(workers), environ=environ, patience=40
        )
        await asyncio.to_thread(process.__enter__)
        try:
            async with Callers(origin, process.url, process.admin_url).asking() as callers:
                yield Scene(process, callers)
        finally:
            await asyncio.to_thread(process.__exit__, None, None, None)


def request(method: str, target: str, tenant: str, *fields: str, body: bytes = b"") -> bytes:
    """Return a request as it goes onto the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", *fields]
    if tenant:
        lines += [f"Authorization: Bearer {key_of(tenant)}", f"X-Caller: {tenant}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _prompt(tenant: str, prompt: str, *, stream: bool) -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": prompt}], "temperature": 0}
    return request("POST", "/v1/chat/completions", tenant, body=orjson.dumps({**asked, "stream": stream}))


def _said(reply: RawReply) -> str:
    """Return the text of an answer, which is whole: a stream ends with its last event."""
    kind = reply.header("content-type") or ""
    if kind.startswith("text/plain"):
        return reply.body.decode()
    if kind.startswith("application/json"):
        return str(reply.json()["choices"][0]["message"]["content"])
    if not reply.body.endswith(b"data: [DONE]\n\n"):
        return f"a stream without its end: {reply.body[-100:]!r}"
    events = [line[6:] for line in reply.body.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(orjson.loads(event)["choices"][0]["delta"].get("content", "") for event in events)
