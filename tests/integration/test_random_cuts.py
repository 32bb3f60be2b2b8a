"""Streams cut at random bytes: none is passed on as complete, none is tried again once it has brought output."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import orjson
import pytest
from tests.integration.beginnings import SPEECHES, Heard, ask
from tests.integration.replaying import PRESENT, recordings

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway
from llmproxy.testing.script import Answer

DIALECTS: Final = {
    "chat": ("openai", "/v1", "openai.chat"),
    "responses": ("openai-responses", "/v1", "openai.responses"),
    "anthropic": ("anthropic", "/v1", "anthropic.messages"),
    "gemini": ("gemini", "/v1beta", "gemini.stream"),
}
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
ENDINGS: Final = ("reset", "fin", "clean", "short")
LARGEST: Final = 64 * 1024
BLANK: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")

Message = Mapping[str, Any]


class Cutting(FakeUpstream):
    """Gives the answer that was set last."""

    answer = Answer(b"", ())

    def next_answer(self, path: str) -> Answer:
        """Return it, whatever was asked."""
        return self.answer


def cut(stream: bytes, at: int, ending: str, pieces: int) -> Answer:
    """Return a stream's first `at` bytes in so many writes, and an end that is none."""
    size = max(1, -(-at // pieces))
    parts = [stream[start : min(at, start + size)] for start in range(0, at, size)]
    if ending == "short":
        head = HEAD + b"Content-Length: %d\r\n\r\n" % (len(stream) + 1)
        framed = parts
    else:
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        framed = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    steps: list[bytes | float] = [step for part in framed for step in (part, 0.002)][:-1]
    if ending == "clean":
        steps.append(b"0\r\n\r\n")
    if pieces == 1:
        head, steps = head + b"".join(step for step in steps if isinstance(step, bytes)), []
    return Answer(head, tuple(steps), then="reset" if ending == "reset" else "close")


def whole(stream: bytes) -> Answer:
    return Answer(HEAD + b"Content-Length: %d\r\n\r\n" % len(stream) + stream, (), then="close")


# What the bytes themselves say, told without the gateway's code.


def messages(data: bytes) -> list[Message]:
    """Return the objects of the events that are whole."""
    found = []
    for block in BLANK.split(data)[:-1]:
        text = b"\n".join(line[5:] for line in block.splitlines() if line.startswith(b"data:"))
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(message, dict):
            found.append(message)
    return found


def _parts(message: Message) -> Iterable[Message]:
    for candidate in message.get("candidates") or ():
        yield from (candidate.get("content") or {}).get("parts") or ()


def _says(message: Message) -> bool:
    kind = str(message.get("type", ""))
    if "choices" in message:
        deltas = [choice.get("delta") or {} for choice in message["choices"]]
        return any(value for delta in deltas for key, value in delta.items() if key != "role")
    if kind == "content_block_start":
        return message["content_block"]["type"] not in ("text", "thinking")
    if kind.endswith((".delta", "_delta", ".partial_image")) and kind != "message_delta":
        return True
    if kind == "response.output_item.done":
        return True
    return any(value for part in _parts(message) for key, value in part.items() if key != "thought")


def _ends(message: Message) -> bool:
    if any(choice.get("finish_reason") for choice in message.get("choices") or ()):
        return True
    if any(candidate.get("finishReason") for candidate in message.get("candidates") or ()):
        return True
    if (message.get("promptFeedback") or {}).get("blockReason"):
        return True
    ends = ("message_stop", "response.completed", "response.incomplete", "response.failed", "error")
    return message.get("type") in ends or bool(message.get("error"))


class Stand:
    """A gateway before two places that speak one dialect."""

    def __init__(self, first: Cutting, second: Cutting, gateway: RunningGateway) -> None:
        self.first = first
        self.second = second
        self.gateway = gateway

    async def ask(self, caller: str) -> tuple[Heard, bool]:
        """Return what a caller heard, and whether the second place was asked."""
        before, others = len(self.second.requests), len(self.first.requests)
        heard = await ask(self.gateway, SPEECHES[caller])
        assert len(self.first.requests) - others == 1, "the place that was cut was asked again"
        return heard, len(self.second.requests) > before


@asynccontextmanager
async def stands() -> AsyncIterator[dict[str, Stand]]:
    """Serve a pool of two places for each dialect."""
    async with AsyncExitStack() as stack:
        found = {}
        for name, (dialect, root, _) in DIALECTS.items():
            places = [await stack.enter_async_context(Cutting()) for _ in range(2)]
            places[1].answer = whole(b"".join(SPEECHES[name].whole))
            config = {
                "upstreams": {
                    key: {"dialect": dialect, "base_url": place.url + root}
                    for key, place in zip(("first", "second"), places, strict=True)
                },
                "plugins": {"balance": {"health": None}},
                "routes": [{"name": "r", "targets": ["first/m", "second/m"], "strategy": "ordered"}],
            }
            gateway = await stack.enter_async_context(running_gateway(config))
            found[name] = Stand(places[0], places[1], gateway)
        yield found


def judged(prefix: bytes, heard: Heard, *, second: bool, translated: bool) -> str:
    """Return what is wrong with what a caller heard of a stream that was cut behind `prefix`, or "".

    Where the caller's dialect is another one, an event is whole without the blank line that was cut off it.
    """
    known = prefix + b"\n\n" if translated else prefix
    output, complete = any(map(_says, messages(prefix))), any(map(_ends, messages(known)))
    if second:
        if output:
            return "tried again after output"
        return "" if heard.whole and heard.status == 200 else "the second place's answer is not whole"
    if complete:
        return ""
    if not output:
        return "not tried again before output"
    return "passed on as complete" if heard.whole and heard.status == 200 else ""


async def run(streams: Mapping[str, Sequence[bytes]], count: int, seed: int) -> None:
    """Cut so many streams, tell what became of them, and fail if one was told wrongly."""
    rng = random.Random(seed)
    wrong, seconds = [], 0
    async with stands() as found:
        for number in range(count):
            provider, caller = rng.choice(sorted(streams)), rng.choice(sorted(DIALECTS))
            stream, ending, pieces = rng.choice(streams[provider]), rng.choice(ENDINGS), rng.choice((1, 2, 5))
            at = rng.randrange(len(stream))
            stand = found[provider]
            stand.first.answer = cut(stream, at, ending, pieces)
            heard, second = await stand.ask(caller)
            seconds += second
            if problem := judged(stream[:at], heard, second=second, translated=caller != provider):
                wrong.append(f"#{number} {caller} from {provider}, {ending} at {at} in {pieces}: {problem}")
    print(f"{count} cuts: {seconds} made good by the second place, {len(wrong)} told wrongly")

    assert wrong == []


def own() -> dict[str, list[bytes]]:
    return {name: [b"".join(speech.whole)] for name, speech in SPEECHES.items()}


def recorded() -> dict[str, list[bytes]]:
    """Return the recorded streams of each dialect that ended well."""
    found: dict[str, list[bytes]] = {}
    for name, (_, _, family) in DIALECTS.items():
        for record in recordings(family):
            events = record["response"].get("events")
            if not record["stream"] or record["response"]["status"] != 200 or not events:
                continue
            stream = "".join(events).encode()
            said = messages(stream)
            fit = len(stream) < LARGEST and not any(each.get("error") for each in said)
            if fit and any(map(_says, said)) and any(map(_ends, said)):
                found.setdefault(name, []).append(stream)
    return found


SOURCES: list[Any] = [
    pytest.param(own, id="own"),
    pytest.param(recorded, id="recorded", marks=[pytest.mark.shared, pytest.mark.skipif(not PRESENT, reason="no data")]),
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
async def test_a_cut_stream_is_never_passed_on_as_complete(
    source: Callable[[], Mapping[str, Sequence[bytes]]],
) -> None:
    await run(source(), 100, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", SOURCES)
async def test_of_a_thousand_cuts_none_is_passed_on_as_complete(
    source: Callable[[], Mapping[str, Sequence[bytes]]],
) -> None:
    await run(source(), 1000, 7)
