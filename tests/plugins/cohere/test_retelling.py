from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.conftest import whole

from llmproxy.plugin import Form, Untellable
from llmproxy_cohere.retelling import retell

from .conftest import STREAM, event, streamed

WHOLE = Form("cohere", "chat")
EVENTS = Form("cohere", "chat", streamed=True)


def test_a_stream_is_told_as_a_whole_answer() -> None:
    told = orjson.loads(retell(STREAM, EVENTS, WHOLE))

    assert (told["id"], told["finish_reason"]) == ("a1", "COMPLETE")
    assert told["message"] == {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
    assert told["usage"]["billed_units"] == {"input_tokens": 2, "output_tokens": 1}


@pytest.mark.parametrize(
    "data",
    [
        STREAM[: STREAM.index(b"event: message-end")],
        STREAM.replace(b"content-end", b"content-new"),
        STREAM.replace(b'"text":"Hi"', b'"data":"Hi"'),
        STREAM.replace(b'"index":0', b'"logprobs":{"logprobs":[1]},"index":0'),
    ],
)
def test_what_is_not_whole_or_not_known_is_not_told_again(data: bytes) -> None:
    with pytest.raises(Untellable):
        retell(data, EVENTS, WHOLE)


def test_probabilities_have_no_place_in_a_stream() -> None:
    answer = {"id": "a", "finish_reason": "COMPLETE", "message": {}, "logprobs": [{"logprobs": [1]}]}

    with pytest.raises(Untellable):
        retell(orjson.dumps(answer), WHOLE, EVENTS)


def test_a_call_goes_on_with_arguments_alone() -> None:
    odd = event("tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"name": "x"}}}})
    start = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
    begun = event("tool-call-start", index=0, delta={"message": {"tool_calls": start}})

    with pytest.raises(Untellable):
        retell(begun + odd + STREAM, EVENTS, WHOLE)


def test_golden_every_recorded_answer_comes_back_as_it_was(recordings: list[dict[str, Any]]) -> None:
    for record, body in whole(recordings, "cohere.chat_v2"):
        told = orjson.loads(body)
        if "message" in told:
            assert orjson.loads(retell(retell(body, WHOLE, EVENTS), EVENTS, WHOLE)) == told, record["id"]
    for record, data in streamed(recordings):
        once = retell(data, EVENTS, WHOLE)
        again = retell(retell(once, WHOLE, EVENTS), EVENTS, WHOLE)
        assert orjson.loads(again) == orjson.loads(once), record["id"]
