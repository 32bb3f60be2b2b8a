from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from tests.webserver import served

from llmproxy.plugin import event_data
from llmproxy.testing import assert_bytes_invariant
from llmproxy_openai.filters import UsageEventFilter

EXTRA = b'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":7}}\n\n'
WORDS = [
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"%d"},"finish_reason":null}],"usage":null}\n\n' % number
    for number in range(5)
]
DONE = b"data: [DONE]\n\n"


def through(*pieces: bytes) -> bytes:
    machine = UsageEventFilter()
    return b"".join(map(machine.feed, pieces)) + machine.close()


def test_the_usage_event_is_gone_and_all_else_is_there() -> None:
    assert through(b"".join(WORDS) + EXTRA + DONE) == b"".join(WORDS) + DONE


def test_it_is_found_wherever_it_stands() -> None:
    assert through(EXTRA + WORDS[0] + EXTRA + EXTRA + WORDS[1] + DONE + EXTRA) == WORDS[0] + WORDS[1] + DONE


def test_a_piece_of_whole_events_leaves_as_the_same_object() -> None:
    piece = b"".join(WORDS)

    assert UsageEventFilter().feed(piece) is piece


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"prompt_filter_results":[],"usage":null}\n\n',
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[]}}],"usage":{"total_tokens":7}}\n\n',
        b'data: {"choices":[],"usage":{"total_tokens":7},"error":{"message":"x"}}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\"choices\\":[]"}}]}\n\n',
        b'data: {"a":{"choices":[]},"usage":{}}\n\n',
        b'data: "choices":[] broken\n\n',
        b'data: ["choices", {"choices":[]}]\n\n',
        b'data: {"choices":[],"usage":{"total_tokens":7},"x":"%b"}\n\n' % (b"x" * 10_000),
        b": comment with []\n\n",
        b"\n\n\n",
        b"\xef\xbb\xbfdata: []\n\n",
    ],
    ids=lambda event: event[:60].decode("utf-8", "replace"),
)
def test_any_other_event_stays(event: bytes) -> None:
    assert through(WORDS[0] + event + DONE) == WORDS[0] + event + DONE


@pytest.mark.parametrize(
    "extra",
    [
        EXTRA.replace(b'":', b'": '),
        EXTRA.replace(b"\n", b"\r\n"),
        EXTRA.replace(b"\n", b"\r"),
        b"event: x\n" + EXTRA,
    ],
)
def test_every_spelling_of_it_goes(extra: bytes) -> None:
    assert through(WORDS[0] + extra + DONE) == WORDS[0] + DONE


def test_one_that_no_blank_line_ends_goes_too() -> None:
    assert through(WORDS[0], EXTRA[:-1]) == WORDS[0]


def test_what_no_blank_line_ends_is_passed_on() -> None:
    assert through(WORDS[0], WORDS[1][:-1]) == WORDS[0] + WORDS[1][:-1]


def test_an_event_too_long_to_judge_passes_as_it_comes() -> None:
    machine = UsageEventFilter()
    long = b'data: {"choices":[' + b"x" * 20_000

    assert len(machine.feed(long)) > 19_000
    assert machine.feed(b"}\n\n" + EXTRA + DONE).endswith(b"}\n\n" + DONE)


@pytest.mark.parametrize(
    "corpus",
    [
        WORDS[0] + EXTRA + WORDS[1] + EXTRA + DONE,
        (WORDS[0] + EXTRA + WORDS[1]).replace(b"\n", b"\r\n"),
        b"\n\n\n" + EXTRA + b"\n" + EXTRA + b": []\n\n\n" + WORDS[0],
        b'data: {"x":"%b","choices":[]}\n\n' % (b"x" * 8170) + EXTRA,
    ],
    ids=["plain", "CRLF", "odd blank lines", "long"],
)
def test_the_cuts_do_not_matter(corpus: bytes) -> None:
    assert_bytes_invariant(UsageEventFilter, corpus[-1200:] if len(corpus) > 9000 else corpus[:8400])


pieces = st.lists(
    st.sampled_from([*WORDS, EXTRA, DONE, b"\n", b"\r\n", b": []\n\n", b"[]", b"data: "]), max_size=12
)


@given(pieces, st.data())
def test_cuts_of_any_stream_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    bounds = [0, *cuts, len(stream)]

    assert through(*(stream[a:b] for a, b in pairwise(bounds) if a < b)) == through(stream)


async def test_the_sdk_sees_the_chunks_of_a_caller_who_never_asked() -> None:
    """OpenAI writes `"usage":null` into the other chunks once usage is asked for: the objects are equal."""
    asked = b"".join(WORDS) + EXTRA + DONE
    never_asked = b"".join(WORDS).replace(b',"usage":null', b"") + DONE

    assert await sdk_chunks(through(asked)) == await sdk_chunks(never_asked)


async def sdk_chunks(stream: bytes) -> list[dict[str, Any]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=stream, content_type="text/event-stream")

    async with served(answer) as url, AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
        chunks = await client.chat.completions.create(model="m", messages=[], stream=True)
        return [chunk.model_dump() async for chunk in chunks]


@pytest.mark.shared
def test_recorded_streams_lose_their_usage_event_and_nothing_else(recordings: list[dict[str, Any]]) -> None:
    streams = [r["response"]["events"] for r in recordings if "events" in r["response"]]
    dropped = 0
    for events in streams:
        raw = [text.encode() for text in events]
        kept = [each for each in raw if not is_extra(each)]
        dropped += len(raw) - len(kept)
        assert through(*raw) == through(b"".join(raw)) == b"".join(kept)

    assert dropped > 90


def is_extra(event: bytes) -> bool:
    try:
        message = orjson.loads(event_data(event))
    except orjson.JSONDecodeError:
        return False
    return message.get("choices") == [] and bool(message.get("usage"))
