from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.canonical import Started
from llmproxy_openai.chat.lines import ChunkLines


def value(line: bytes) -> Any:
    assert line.startswith(b"data: ")
    assert line.endswith(b"\n\n")
    return orjson.loads(line[6:])


@pytest.mark.parametrize("asked", [True, False])
def test_every_chunk_has_the_same_head(asked: bool) -> None:
    lines = ChunkLines(Started("own", "m", 7), include_usage=asked)
    lines.take(Started("chatcmpl-1", "", 0, None, "default", "fp"))
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    head |= {"service_tier": "default", "system_fingerprint": "fp"}
    usage = {"usage": None} if asked else {}

    plain = {"index": 1, "logprobs": None, "finish_reason": None}
    expected = {**head, "choices": [{**plain, "delta": {"content": 'a"b'}}], **usage}
    assert value(lines.text(lines.head(1, b"content"), 'a"b', None)) == expected
    assert value(lines.delta(1, {"content": 'a"b'})) == expected
    ended = {**plain, "delta": {}, "finish_reason": "stop"}
    assert value(lines.finish(1, "stop", "")) == {**head, "choices": [ended], **usage}
    assert value(lines.usage({"total_tokens": 1})) == {**head, "choices": [], "usage": {"total_tokens": 1}}


def test_logprobs_and_the_providers_own_word_are_told() -> None:
    lines = ChunkLines(Started("x", "m", 7), include_usage=False)
    told = value(lines.text(lines.head(0, b"content"), "a", {"content": []}))

    assert told["choices"][0]["logprobs"] == {"content": []}
    assert value(lines.finish(0, "stop", "pause"))["choices"][0]["native_finish_reason"] == "pause"
