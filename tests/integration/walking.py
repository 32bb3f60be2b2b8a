"""A random walk over cached routes: readers, writers and purgers of several tenants, each answer judged as it comes.

The origin's answers say whose request they were made for, what they are of, in which language, and in which version.
A version changes with a write or just before a purge; once that has returned, whoever asks must see it or a later one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import orjson

from llmproxy.testing import RawClient

from .origin import Asked, CountingOrigin

TENANTS = ("ann", "bob", "cyd")
ROUTES = ("items", "things")
LANGUAGES = ("en", "de")
RESOURCES = 6
SLOW = "5"  # what the origin takes its time for
TOKEN = "admin-token-0123456789"


def key_of(tenant: str) -> str:
    """Return a tenant's key."""
    return f"key-of-{tenant}-0123456789"


class Origin(CountingOrigin):
    """An HTTP API and a model provider in one: `async with Origin() as origin`."""

    async def answer(self, writer: asyncio.StreamWriter, asked: Asked) -> None:
        caller = asked.fields.get("x-caller", "nobody")
        if asked.target.startswith("/v1/"):
            await self._complete(writer, caller, orjson.loads(asked.body))
            return
        path = asked.target.partition("?")[0]
        if asked.method == "PUT":
            self.versions[path] += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        said = [caller, path, asked.fields.get("accept-language", ""), str(self.versions[path])]
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: public, max-age=3600\r\n"
            f"Vary: Accept-Language\r\nSurrogate-Key: {path[1:].replace('/', '-')}\r\n"
        )
        await self.write_body(writer, head, "|".join(said).encode(), piece=8 if path.endswith(SLOW) else 0)

    async def _complete(self, writer: asyncio.StreamWriter, caller: str, asked: dict[str, object]) -> None:
        model = asked["model"]
        prompt = asked["messages"][0]["content"]  # type: ignore[index]
        text = f"{caller}|{prompt}||{self.versions['chat']}"
        answer = {"id": "c1", "created": 1, "model": model, "object": "chat.completion"}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            body = orjson.dumps({**answer, "choices": [choice], "usage": usage})
            await self.write_body(writer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", body)
            return
        answer["object"] = "chat.completion.chunk"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        deltas: list[dict[str, object]] = [{"content": text[at : at + 6]} for at in range(0, len(text), 6)]
        for delta in [*deltas, {}]:
            reason = None if delta else "stop"
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            event = b"data: %b\n\n" % orjson.dumps({**answer, "choices": [choice]})
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0.002)
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


@dataclass(slots=True)
class Walk:
    """Walkers over one gateway (or several: they take turns), and what they have seen."""

    origin: Origin
    gateways: tuple[tuple[str, str], ...]  # the URL of callers, and that of the admin listener
    seed: int
    floors: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    #: What promised each floor last, for who reads of a failure.
    promises: dict[str, str] = field(default_factory=dict)

    async def run(self, steps: int, walkers: int = 16) -> None:
        """Take that many steps in all."""
        async with asyncio.TaskGroup() as group:
            for number in range(walkers):
                group.create_task(self._walk(random.Random(self.seed * 1000 + number), steps // walkers))

    async def _walk(self, chance: random.Random, steps: int) -> None:
        url, admin_url = self.gateways[chance.randrange(len(self.gateways))]
        async with RawClient(url, timeout=30.0) as client, RawClient(admin_url, timeout=30.0) as admin:
            for _ in range(steps):
                kind = chance.random()
                if kind < 0.70:
                    await self._read(client, chance)
                elif kind < 0.90:
                    await self._ask(client, chance)
                elif kind < 0.95:
                    await self._write(client, chance)
                else:
                    await self._purge(admin, chance)

    async def _read(self, client: RawClient, chance: random.Random) -> None:
        tenant, language = chance.choice(TENANTS), chance.choice(LANGUAGES)
        path = f"/{chance.choice(ROUTES)}/{chance.randrange(RESOURCES)}"
        floor = self.floors[path]
        directive = chance.choice(("", "", "", "Cache-Control: no-cache", "Cache-Control: max-age=0"))
        reply = await client.exchange(
            _request("GET", path, tenant, f"Accept-Language: {language}", *filter(None, [directive]))
        )
        self._judge((tenant, path, language), floor, reply.body.decode(), reply.header("cache-status"))

    async def _ask(self, client: RawClient, chance: random.Random) -> None:
        tenant, prompt, stream = (
            chance.choice(TENANTS),
            f"p{chance.randrange(RESOURCES)}",
            chance.random() < 0.5,
        )
        asked = {
            "model": "m",
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "stream": stream,
        }
        floor = self.floors["chat"]
        reply = await client.exchange(
            _request("POST", "/v1/chat/completions", tenant, body=orjson.dumps(asked))
        )
        text = _streamed(reply.body) if stream else reply.json()["choices"][0]["message"]["content"]
        self._judge((tenant, prompt, ""), floor, text, reply.header("cache-status"))

    async def _write(self, client: RawClient, chance: random.Random) -> None:
        path = f"/{chance.choice(ROUTES)}/{chance.randrange(RESOURCES)}"
        before = self.origin.versions[path]
        reply = await client.exchange(_request("PUT", path, chance.choice(TENANTS), body=b"new"))
        assert reply.status == 204, reply
        self._promise(path, before + 1, "a write")

    async def _purge(self, admin: RawClient, chance: random.Random) -> None:
        """Change what is purged first, so that what is served afterwards tells whether it was."""
        path = f"/{chance.choice(ROUTES)}/{chance.randrange(RESOURCES)}"
        what, order = chance.choice(
            [
                (path, {"tags": [path[1:].replace("/", "-")]}),
                (path, {"prefixes": [f"/{path.split('/')[1]}/"]}),
                ("chat", {"routes": ["chat"]}),
                ("chat", {"models": ["m"]}),
                (path, {"all": True}),
            ]
        )
        self.origin.versions[what] += 1
        version = self.origin.versions[what]
        body = orjson.dumps(order)
        reply = await admin.exchange(
            _request("POST", "/cache/purge", "", f"Authorization: Bearer {TOKEN}", body=body)
        )
        assert reply.status == 200, reply.body
        self._promise(what, version, f"a purge of {order}")
        self.outcomes["purge"] += 1

    def _promise(self, what: str, version: int, why: str) -> None:
        if version > self.floors[what]:
            self.floors[what] = version
            self.promises[what] = why

    def _judge(self, expected: tuple[str, str, str], floor: int, said: str, status: str | None) -> None:
        *whose, version = said.split("|")
        member = (status or "none").split(";")[1].strip() if status and ";" in status else str(status)
        self.outcomes[member] += 1
        if tuple(whose) != expected:
            self.wrong.append(f"{expected} was answered {said!r} ({status})")
        elif int(version) < floor:
            promise = self.promises[expected[1] if expected[1] in self.promises else "chat"]
            self.wrong.append(f"{expected}: {version} after {promise} had promised {floor} ({status})")


def _request(method: str, target: str, tenant: str, *fields: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", *fields]
    if tenant:
        lines += [f"Authorization: Bearer {key_of(tenant)}", f"X-Caller: {tenant}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _streamed(body: bytes) -> str:
    events = [line[6:] for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(orjson.loads(event)["choices"][0]["delta"].get("content", "") for event in events)
