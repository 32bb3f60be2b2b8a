"""Messages in their other form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.retold import both_ways

from llmproxy.plugin import Form, Untellable
from llmproxy_anthropic.retelling import retell

WHOLE = Form("anthropic", "messages")
STREAM = WHOLE._replace(streamed=True)
CITED = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "start_char_index": 0,
    "end_char_index": 1,
}


def message(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 9, "service_tier": "standard"}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return {**head, "content": list(blocks), **end, "usage": usage, **more}


def there_and_back(whole: dict[str, Any]) -> Any:
    return orjson.loads(retell(retell(orjson.dumps(whole), WHOLE, STREAM), STREAM, WHOLE))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "Hello"},
        {"type": "text", "text": "Hello", "citations": None},
        {"type": "text", "text": "Hello", "citations": [CITED, CITED]},
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "look",
            "input": {"city": "Rome", "n": [1, {"x": None}]},
        },
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}, "caller": {"type": "direct"}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result"}],
        },
        {"type": "a_block_of_tomorrow", "text": "x", "input": {"y": 1}},
    ],
    ids=lambda block: block["type"],
)
def test_a_block_comes_back_from_a_stream_as_it_was(block):
    whole = message(block)

    assert there_and_back(whole) == whole


def test_how_it_ended_and_what_stands_beside_comes_back():
    whole = message(
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": None, "explanation": "x"},
        container={"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
        context_management={"applied_edits": []},
        a_member_of_tomorrow=1,
    )

    assert there_and_back(whole) == whole


@given(st.lists(st.text(max_size=6), min_size=1, max_size=6))
def test_whatever_was_said_in_pieces_is_said_whole(pieces):
    stream = retell(orjson.dumps(message({"type": "text", "text": "@"})), WHOLE, STREAM)
    event = next(part for part in stream.split(b"\n\n") if b'"@"' in part) + b"\n\n"
    told = stream.replace(event, b"".join(event.replace(b'"@"', orjson.dumps(piece)) for piece in pieces))

    assert orjson.loads(retell(told, STREAM, WHOLE)) == message({"type": "text", "text": "".join(pieces)})


def test_the_last_counts_are_those_of_the_end():
    stream = retell(orjson.dumps(message()), WHOLE, STREAM)
    first, rest = stream.split(b"event: message_delta", 1)
    told = first.replace(b'"output_tokens":9', b'"output_tokens":1') + b"event: message_delta" + rest

    assert orjson.loads(retell(told, STREAM, WHOLE))["usage"] == message()["usage"]


def test_what_is_not_whole_is_not_told():
    with pytest.raises(Untellable):
        retell(orjson.dumps(message(stop_reason=None)), WHOLE, STREAM)
    with pytest.raises(Untellable):
        retell(b'{"type":"error","error":{}}', WHOLE, STREAM)


def test_a_stream_that_was_cut_failed_or_says_unknown_pieces_is_not_told():
    stream = retell(orjson.dumps(message({"type": "text", "text": "a"})), WHOLE, STREAM)
    cut = stream[: stream.rfind(b"event:")]
    odd = stream.replace(b"text_delta", b"mood_delta")
    for broken in (cut, cut + b'event: error\ndata: {"type":"error"}\n\n', odd, stream + stream):
        with pytest.raises(Untellable):
            retell(broken, STREAM, WHOLE)


@pytest.mark.shared
def test_every_recorded_message_means_the_same_in_its_other_form_and_back(judge):
    found = both_ways(judge, "anthropic.messages", {"anthropic.messages", "anthropic.vertex"}, WHOLE, retell)

    assert found.pop("equal") >= 380
    # Six hold several streams each; two are a batch's.
    assert found == {
        "the stream ended with an error, or another began in it": 6,
        "it is no message that is whole": 2,
    }
