from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.openai.conftest import MakeExchange

from llmproxy.plugin import CountingTap, Exchange, Parts, Usage, WholeTap
from llmproxy_openai.media.taps import SoundTap
from llmproxy_openai.taps import answer_tap


def read(exchange: Exchange, body: bytes, *, json: bool = True) -> Any:
    tap = answer_tap(exchange, json=json)
    if tap is None:
        return None
    tap.feed(body)
    tap.end()
    return tap.usage


@pytest.mark.parametrize("json", [True, False])
def test_speech_is_its_text_s_length(exchange_for: MakeExchange, json: bool) -> None:
    exchange = exchange_for("/v1/audio/speech", {"model": "m", "input": "Grüße"})
    tap = answer_tap(exchange, json=json)

    assert isinstance(tap, SoundTap)
    assert read(exchange, b"ID3", json=json) == Usage(units=5)
    tap.feed(b"ID3")
    tap.fail(OSError())
    assert (tap.first_output, tap.terminal, tap.usage) == (True, False, None)


@pytest.mark.parametrize("body", [b"not JSON", b"[]", b'{"input":7}'])
def test_what_says_no_text_tells_nothing(exchange_for: MakeExchange, body: bytes) -> None:
    exchange = exchange_for("/v1/audio/speech", body, {"Content-Type": "text/plain"})

    assert read(exchange, b"ID3", json=False) is None


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"text": "a", "usage": {"type": "duration", "seconds": 3}}, Usage(units=3000)),
        ({"text": "a", "duration": 2.5}, Usage(units=2500)),
        ({"text": "a"}, None),
        ({"text": "a", "duration": "long"}, None),
        ({"text": "a", "duration": 1e12}, None),
        (
            {
                "text": "a",
                "duration": 9,
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"audio_tokens": 14},
                    "output_tokens": 5,
                    "total_tokens": 19,
                },
            },
            Usage(14, 0, 0, 5, parts=Parts(input_audio=14)),
        ),
    ],
)
def test_a_recording_is_told_by_its_tokens_or_its_length(
    exchange_for: MakeExchange, told: dict[str, Any], usage: Usage | None
) -> None:
    exchange = exchange_for("/v1/audio/transcriptions", b"", {"Content-Type": "application/octet-stream"})

    assert read(exchange, orjson.dumps(told)) == usage


def test_pages_are_counted_but_for_those_that_are_described(exchange_for: MakeExchange) -> None:
    body = b'{"pages":[],"usage_info":{"pages_processed":4}}'
    described = {"model": "m", "document_annotation_format": {"type": "json_schema"}}

    assert read(exchange_for("/v1/ocr", {"model": "m"}), body) == Usage(units=4)
    assert read(exchange_for("/v1/ocr", described), body) is None


def test_pictures_are_counted(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/images/generations", {"model": "m", "prompt": "p"})

    assert isinstance(answer_tap(exchange, json=True), CountingTap)
    assert read(exchange, b'{"data":[{"url":"a"},{"url":"b"}],"usage":{"cost_in_usd_ticks":4}}') == Usage(
        units=2
    )


def test_other_answers_are_read_as_ever(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/chat/completions", {"model": "m", "messages": []})

    assert type(answer_tap(exchange, json=True)) is WholeTap
    assert answer_tap(exchange, json=False) is None
    assert answer_tap(exchange_for("/v1/audio/transcriptions", b"", {}), json=False) is None
