from __future__ import annotations

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Audio,
    Choice,
    Citation,
    CountAnswer,
    EmbedAnswer,
    Foreign,
    Image,
    Inline,
    Link,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import GatewayError, ProviderError, Usage
from llmproxy_anthropic.answers import decode_answer, encode_answer, stop_of, write_said

from .conftest import whole

TOLD = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard"},
}


def decoded(**more):
    return decode_answer(orjson.dumps({**TOLD, **more}))


def test_a_message_is_read():
    assert decoded() == Answer(
        id="msg_1",
        model="claude",
        choices=(Choice(content=(Text(text="Hi"),), finish="stop", detail="end_turn"),),
        usage=Usage(3, 0, 0, 4),
        service_tier="default",
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "context"),
        ("compaction", "pause"),
        ("new_reason", "stop"),
        (None, None),
    ],
)
def test_every_reason_is_read(reason, finish):
    assert decoded(stop_reason=reason).choices[0].finish == finish


def test_a_stop_sequence_and_an_explanation_are_read():
    choice = decoded(stop_reason="stop_sequence", stop_sequence="END").choices[0]
    refused = decoded(stop_reason="refusal", stop_details={"type": "refusal", "explanation": "No."}).choices[
        0
    ]

    assert (choice.finish, choice.stop_sequence) == ("stop", "END")
    assert refused.explanation == "No."


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"content":3}', b'{"content":[{"type":"text"}]}']
)
def test_what_is_no_message_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011  # of any kind
        decode_answer(body)


def test_an_error_in_a_good_status_is_raised():
    with pytest.raises(ProviderError) as caught:
        decode_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}')

    assert (caught.value.kind, caught.value.message) == ("overloaded", "Busy.")


def test_counts_go_both_ways():
    assert decode_answer(b'{"input_tokens":7}') == CountAnswer(tokens=7)
    assert encode_answer(CountAnswer(tokens=7), "m", "n") == {"input_tokens": 7}


def test_embeddings_have_no_shape():
    with pytest.raises(GatewayError):
        encode_answer(EmbedAnswer(), "m", "n")


def test_a_message_is_written():
    answer = Answer(
        id="msg_1",
        model="claude",
        choices=(Choice(content=(Text(text="Hi"),), finish="stop"),),
        usage=Usage(3, 0, 0, 4),
        service_tier="default",
    )
    usage = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **TOLD["usage"]}

    assert encode_answer(answer, "m", "n") == {**TOLD, "usage": usage}


def test_an_empty_answer_has_every_member():
    told = encode_answer(Answer(), "m", "n")

    assert (told["id"], told["model"], told["content"], told["stop_reason"]) == ("msg_n", "m", [], None)
    assert told["usage"]["input_tokens"] == told["usage"]["output_tokens"] == 0


@pytest.mark.parametrize(
    ("finish", "sequence", "called", "expected"),
    [
        (None, None, False, None),
        ("stop", None, False, "end_turn"),
        ("stop", "END", False, "stop_sequence"),
        ("stop", None, True, "tool_use"),
        ("tool_calls", None, True, "tool_use"),
        ("length", None, True, "max_tokens"),
        ("content_filter", None, False, "refusal"),
        ("refusal", None, False, "refusal"),
        ("pause", None, False, "pause_turn"),
        ("context", None, False, "model_context_window_exceeded"),
        ("malformed", None, False, "refusal"),
        ("error", None, False, "refusal"),
    ],
)
def test_every_reason_is_written(finish, sequence, called, expected):
    assert stop_of(finish, sequence, "", called=called)["stop_reason"] == expected


def test_an_odd_end_is_explained():
    assert "could not be read" in stop_of("malformed", None, "", called=False)["stop_details"]["explanation"]
    assert stop_of("refusal", None, "No.", called=False)["stop_details"]["explanation"] == "No."
    assert "stop_details" not in stop_of("refusal", None, "", called=False)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Text(text=""), None),
        (Refusal(text="No."), {"type": "text", "text": "No."}),
        (Refusal(text=""), None),
        (
            ToolCall(id="i", name="n", arguments='{"a":1}'),
            {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
        ),
        (Reasoning(text="h"), {"type": "thinking", "thinking": "h", "signature": ""}),
        (Foreign(origin="anthropic", value={"type": "x"}), {"type": "x"}),
        (Foreign(origin="openai", value={"type": "x"}), None),
        (Audio(source=Link(url="u")), None),
        (
            Image(source=Inline(media_type="image/png", data="eA==")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
        ),
        (
            Text(text="a", citations=(Citation(kind="file", file_id="f"),)),
            {"type": "text", "text": "a", "citations": None},
        ),
    ],
    ids=str,
)
def test_each_block_is_written(block, expected):
    assert write_said(block) == expected


@pytest.mark.shared
def test_every_recorded_answer_says_the_same_when_it_is_written_anew(recordings, judge):
    for record in whole(recordings):
        answer = decode_answer(orjson.dumps(record["response"]["body"]))
        reply = {"status": 200, "headers": {}, "body": encode_answer(answer, "m", "n")}
        truth = judge.parse_response(record["dialect"], record["response"])
        got = judge.parse_response("anthropic.messages", reply)

        assert judge.compare(truth, got, "anthropic.messages", "full") == ([], []), record["id"]
        assert judge.shape_problems("anthropic.messages", reply) == []
        assert decode_answer(orjson.dumps(reply["body"])) == answer
