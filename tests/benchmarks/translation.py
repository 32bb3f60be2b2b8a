"""What a translation costs: CPU time of the gateway a request and an event, above passing the same answer on.

`python -m tests.benchmarks.translation [--rounds 5] [--requests 1600] [--streams 200]` asks, from each client dialect,
an upstream of each dialect that answers the same text at once, whole and in 50 events. Pairs take turns in each round;
the median of the rounds counts. The gateway's own user and system time is read before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop
from tests.benchmarks.site import say
from tests.integration.process import GatewayProcess

EVENTS = 50
_TICKS = os.sysconf("SC_CLK_TCK")
_CONNECTIONS = 8
_TEXT = "hello world " * 20
_PIECES = [f"tok{number} " for number in range(EVENTS)]
_USAGE = {"prompt_tokens": 12, "completion_tokens": 50, "total_tokens": 62}


def _sse(events: Sequence[object], *, named: bool = False, done: bool = False) -> bytes:
    lines = []
    for event in events:
        data = event if isinstance(event, bytes) else orjson.dumps(event)
        name = f"event: {orjson.loads(data)['type']}\n".encode() if named else b""
        lines.append(name + b"data: " + data + b"\n\n")
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def _chat() -> tuple[bytes, bytes]:
    common = {"id": "chatcmpl-1", "created": 1700000000, "model": "m"}
    message = {"role": "assistant", "content": _TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = orjson.dumps({**common, "object": "chat.completion", "choices": [choice], "usage": _USAGE})
    chunk = {**common, "object": "chat.completion.chunk"}
    events = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": t}, "finish_reason": None}]} for t in _PIECES
    ]
    last = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return whole, _sse([*events, last, {**chunk, "choices": [], "usage": _USAGE}], done=True)


def _messages() -> tuple[bytes, bytes]:
    usage = {"input_tokens": 12, "output_tokens": 50}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    whole = {
        **message,
        "content": [{"type": "text", "text": _TEXT}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    start = {**message, "content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in _PIECES
    ]
    events = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": usage,
        },
        {"type": "message_stop"},
    ]
    return orjson.dumps(whole), _sse(events, named=True)


def _generate() -> tuple[bytes, bytes]:
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 50, "totalTokenCount": 62}
    told = {"usageMetadata": usage, "modelVersion": "m", "responseId": "r"}

    def candidate(text: str) -> dict[str, object]:
        return {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}

    whole = {"candidates": [{**candidate(_TEXT), "finishReason": "STOP"}], **told}
    events = [{"candidates": [candidate(text)], **told} for text in _PIECES[:-1]]
    last = {"candidates": [{**candidate(_PIECES[-1]), "finishReason": "STOP"}], **told}
    return orjson.dumps(whole), _sse([*events, last]).replace(b"\n", b"\r\n")


def _responses() -> tuple[bytes, bytes]:
    usage = {"input_tokens": 12, "output_tokens": 50, "total_tokens": 62}
    part = {"type": "output_text", "text": "".join(_PIECES), "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    head = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "m", "tools": []}
    done = {**head, "status": "completed", "output": [{**item, "content": [part]}], "usage": usage}
    begun = {**head, "status": "in_progress", "output": []}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    bodies = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": text, "logprobs": []} for text in _PIECES),
        {"type": "response.output_text.done", **at, "text": part["text"]},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": [part]}},
        {"type": "response.completed", "response": done},
    ]
    events = [{**body, "sequence_number": number} for number, body in enumerate(bodies)]
    return orjson.dumps(done), _sse(events, named=True)


_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
_QUESTION = "What is the weather in Paris, and what shall I wear there tonight?"


@dataclass(frozen=True)
class Dialect:
    """How one dialect asks and answers; `family` is the gateway's own name for its upstreams."""

    name: str
    family: str
    path: str
    streaming: str
    ending: str
    body: dict[str, object]
    whole: bytes
    stream: bytes


_CHAT = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": _QUESTION}]}
_TOOLS = [{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": _SCHEMA}}]
DIALECTS = [
    Dialect(
        "chat",
        "openai",
        "/v1/chat/completions",
        "/v1/chat/completions",
        "/chat/completions",
        {**_CHAT, "tools": _TOOLS},
        *_chat(),
    ),
    Dialect(
        "responses",
        "openai-responses",
        "/v1/responses",
        "/v1/responses",
        "/responses",
        {
            "instructions": "Be brief.",
            "input": _QUESTION,
            "store": False,
            "tools": [{"type": "function", "name": "look", "parameters": _SCHEMA, "strict": False}],
        },
        *_responses(),
    ),
    Dialect(
        "messages",
        "anthropic",
        "/v1/messages",
        "/v1/messages",
        "/messages",
        {
            "system": "Be brief.",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": _QUESTION}],
            "tools": [{"name": "look", "description": "Look.", "input_schema": _SCHEMA}],
        },
        *_messages(),
    ),
    Dialect(
        "gemini",
        "gemini",
        "/v1beta/models/{}:generateContent",
        "/v1beta/models/{}:streamGenerateContent?alt=sse",
        "enerateContent",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": _QUESTION}]}],
            "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": _SCHEMA}]}],
        },
        *_generate(),
    ),
]


def request_of(client: Dialect, upstream: Dialect, *, stream: bool) -> bytes:
    """Write the request of one client for a model of one upstream."""
    model = f"{upstream.family}/m"
    path = (client.streaming if stream else client.path).format(model)
    named = {} if client.name == "gemini" else {"model": model, "stream": stream}
    body = orjson.dumps({**named, **client.body})
    kind = "Content-Type: application/json\r\nanthropic-version: 2023-06-01\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: g\r\n{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Upstream(asyncio.Protocol):
    """Answers at once what each path answers, from bytes made beforehand."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's are no subclass
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            whole = end + 4 + length
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._transport.write(_answer(head.split(b" ", 2)[1].decode(), body))


def _answer(path: str, body: bytes) -> bytes:
    dialect = next(d for d in DIALECTS if d.ending in path)
    if "stream" in path or b'"stream":true' in body:
        events = dialect.stream
        kind, length = b"text/event-stream", b"Transfer-Encoding: chunked"
        events = b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events)
    else:
        events, kind = dialect.whole, b"application/json"
        length = b"Content-Length: %d" % len(events)
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n\r\n%b" % (kind, length, events)


async def ask(port: int, request: bytes, count: int) -> None:
    """Ask `count` times over a few connections; every answer must be good and whole."""

    async def work(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise AssertionError((head + await reader.read(600)).decode())
            lower = head.lower()
            if b"content-length:" in lower:
                await reader.readexactly(int(lower.partition(b"content-length:")[2].split(b"\r\n")[0]))
            else:
                await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(work(max(1, count // _CONNECTIONS)))


def _cpu(pid: int) -> float:
    """Return the CPU time of a process so far, microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS * 1e6


async def measure(rounds: int, requests: int, streams: int) -> dict[tuple[str, str], tuple[float, float]]:
    """Return CPU us a request and an event for each pair of client and upstream."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tree = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "error"},
        "upstreams": {
            d.family: {
                "dialect": d.family,
                "base_url": f"http://127.0.0.1:{port}/{'v1beta' if d.name == 'gemini' else 'v1'}",
            }
            for d in DIALECTS
        },
        "routes": [{"name": "models", "lossy": "allow"}],
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.json"
        file.write_bytes(orjson.dumps(tree))
        process = await loop.run_in_executor(None, GatewayProcess("-c", file).__enter__)
        try:
            await _rounds(process, found, rounds, requests, streams)
        finally:
            process.__exit__(None, None, None)
    server.close()
    return {pair: (_median(values, 0), _median(values, 1)) for pair, values in found.items()}


async def _rounds(
    process: GatewayProcess,
    found: dict[tuple[str, str], list[tuple[float, float]]],
    rounds: int,
    requests: int,
    streams: int,
) -> None:
    port, pid = int(process.url.rpartition(":")[2]), process.pid
    for number in range(rounds + 1):
        for client in DIALECTS:
            for upstream in DIALECTS:
                figures = []
                for stream, count in ((False, requests), (True, streams)):
                    request = request_of(client, upstream, stream=stream)
                    before = _cpu(pid)
                    await ask(port, request, count)
                    figures.append((_cpu(pid) - before) / count)
                if number:  # the first round warms everything up
                    per_event = (figures[1]) / EVENTS
                    found.setdefault((client.name, upstream.name), []).append((figures[0], per_event))


def _median(values: Sequence[tuple[float, float]], at: int) -> float:
    return statistics.median(value[at] for value in values)


def main() -> None:
    """Measure and print one line for each pair, with what it costs above passing on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1600)
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    found = uvloop.run(measure(options.rounds, options.requests, options.streams))
    plain = statistics.median(found[d.name, d.name][0] for d in DIALECTS)
    event = statistics.median(found[d.name, d.name][1] for d in DIALECTS)
    say(passing_us=round(plain, 1), passing_us_an_event=round(event, 2))
    for (client, upstream), (whole, each) in found.items():
        say(
            client=client,
            upstream=upstream,
            above_us=round(whole - plain, 1),
            above_us_an_event=round(each - event, 2),
        )


if __name__ == "__main__":
    main()
