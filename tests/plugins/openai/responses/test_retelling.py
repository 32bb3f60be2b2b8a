"""Responses in their other form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from tests.plugins.retold import both_ways

from llmproxy.plugin import Form, Framer, Untellable, event_data
from llmproxy_openai.responses.retelling import retell

WHOLE = Form("openai", "responses")
STREAM = WHOLE._replace(streamed=True)


def message(text: str, **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": [], **part}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def response(*items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    usage = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    head = {
        "id": "resp_1",
        "object": "response",
        "created_at": 17,
        "model": "m",
        "status": status,
        "error": None,
    }
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "a_member_of_tomorrow": {"x": 1}}
    return {**head, "incomplete_details": None, "output": list(items), "usage": usage, **rest}


NOTE = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1}
SCORE = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
ITEMS = [
    message("Hello"),
    message("a", annotations=[NOTE], logprobs=[SCORE]),
    {**message(""), "content": [{"type": "refusal", "refusal": "No."}]},
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    },
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c", "name": "f", "input": "text"},
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "c2VhbGVk",
        "content": [{"type": "reasoning_text", "text": "really"}],
    },
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
]


def events_of(stream: bytes) -> list[Any]:
    return [orjson.loads(event_data(block)) for block in Framer().feed(stream)]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["type"])
def test_an_item_comes_back_from_a_stream_as_it_was(item):
    whole = response(item)
    stream = retell(orjson.dumps(whole), WHOLE, STREAM)

    assert orjson.loads(retell(stream, STREAM, WHOLE)) == whole
    assert events_of(stream)[-2] == {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": item,
        "sequence_number": len(events_of(stream)) - 2,
    }


def test_every_event_is_one_that_the_sdk_knows_and_numbers_grow():
    events = events_of(retell(orjson.dumps(response(*ITEMS)), WHOLE, STREAM))
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["output"] == []


def test_an_incomplete_response_ends_as_one():
    whole = response(message("a"), status="incomplete") | {
        "incomplete_details": {"reason": "max_output_tokens"}
    }
    stream = retell(orjson.dumps(whole), WHOLE, STREAM)

    assert events_of(stream)[-1]["type"] == "response.incomplete"
    assert orjson.loads(retell(stream, STREAM, WHOLE)) == whole


def test_items_are_taken_from_their_own_events_where_the_end_does_not_repeat_them():
    stream = retell(orjson.dumps(response(message("a"))), WHOLE, STREAM)
    *before, end = events_of(stream)
    end["response"]["output"] = []
    told = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in [*before, end])

    assert orjson.loads(retell(told, STREAM, WHOLE)) == response(message("a"))


@pytest.mark.parametrize("status", ["failed", "in_progress", "queued", "cancelled"])
def test_what_is_not_whole_is_not_told(status):
    with pytest.raises(Untellable):
        retell(orjson.dumps(response(status=status)), WHOLE, STREAM)


def test_a_stream_that_was_cut_or_failed_is_not_told():
    stream = retell(orjson.dumps(response(message("a"))), WHOLE, STREAM)
    cut = stream[: stream.rfind(b"event:")]
    for broken in (cut, cut + b'data: {"type":"error","message":"x"}\n\n', stream + stream):
        with pytest.raises(Untellable):
            retell(broken, STREAM, WHOLE)


@pytest.mark.shared
def test_every_recorded_response_means_the_same_in_its_other_form_and_back(judge):
    found = both_ways(judge, "openai.responses", {"openai.responses"}, WHOLE, retell)

    assert found.pop("equal") >= 400
    # Two were recorded while they were being made, two hold several streams each.
    assert found == {"it is no response that is whole": 2, "the stream did not end well": 2}
