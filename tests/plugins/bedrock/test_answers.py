import orjson
import pytest
from hypothesis import given
from tests.plugins.conftest import whole
from tests.proxy.canonical import made

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
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import BadRequest, Usage
from llmproxy_bedrock.answers import decode_answer, encode_answer, explanation_in, stop_of, write_said

USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}


def answered(*content, reason="end_turn", **more):
    message = {"role": "assistant", "content": list(content)}
    return orjson.dumps({"output": {"message": message}, "stopReason": reason, "usage": USAGE, **more})


def test_an_answer_is_read():
    body = answered(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "hi"},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        reason="tool_use",
        serviceTier={"type": "flex"},
    )

    assert decode_answer(body) == Answer(
        choices=(
            Choice(
                content=(
                    Reasoning(text="hm", signature="s", origin="anthropic"),
                    Text(text="hi"),
                    ToolCall(id="t", name="f", arguments='{"a":1}'),
                ),
                finish="tool_calls",
                detail="tool_use",
            ),
        ),
        usage=Usage(3, 0, 0, 2),
        service_tier="flex",
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "malformed"),
        ("malformed_model_output", "error"),
        ("model_context_window_exceeded", "context"),
        ("tomorrows", "stop"),
    ],
)
def test_reasons_to_end_are_read_and_written(reason, finish):
    (choice,) = decode_answer(answered({"text": "x"}, reason=reason)).choices

    assert (choice.finish, choice.detail) == (finish, reason)
    assert stop_of(choice, called=False) == ("end_turn" if finish == "stop" else reason)


def test_a_guardrails_trace_says_why_it_stepped_in():
    trace = {"guardrail": {"actionReason": "No topics.", "inputAssessment": {}}}
    (choice,) = decode_answer(answered(reason="guardrail_intervened", trace=trace)).choices

    assert choice.explanation == "No topics."
    assert encode_answer(Answer(choices=(choice,)))["trace"] == {"guardrail": {"actionReason": "No topics."}}
    assert explanation_in({"guardrail": 1}) == ""


def test_a_count_is_read_and_written():
    assert decode_answer(b'{"inputTokens":11}') == CountAnswer(tokens=11)
    assert encode_answer(CountAnswer(tokens=11)) == {"inputTokens": 11}


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"{", b'{"output":{}}', b'{"output":{"message":{"content":[{"text":1}]}}}']
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        decode_answer(body)


def test_there_are_no_vectors():
    with pytest.raises(BadRequest):
        encode_answer(EmbedAnswer())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Text(text="hi"), {"text": "hi"}),
        (Text(text=""), None),
        (Refusal(text="no"), {"text": "no"}),
        (
            Text(text="hi", citations=(Citation(kind="url", url="u"),)),
            {
                "citationsContent": {
                    "content": [{"text": "hi"}],
                    "citations": [{"location": {"web": {"url": "u"}}}],
                }
            },
        ),
        (Text(text="hi", citations=(Citation(kind="file"),)), {"text": "hi"}),
        (
            Image(source=Inline(media_type="image/png", data="AAAA")),
            {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
        ),
        (
            Audio(source=Inline(media_type="audio/mpeg", data="AAAA")),
            {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}},
        ),
        (Image(source=Inline(media_type="image/odd", data="AAAA")), None),
        (Foreign(origin="bedrock", value={"a": 1}), {"a": 1}),
        (Foreign(origin="openai", value={"a": 1}), None),
    ],
)
def test_a_block_is_told_or_left_out(block, expected):
    assert write_said(block) == expected


def test_calls_decide_why_an_answer_ended():
    assert stop_of(Choice(finish="stop"), called=True) == "tool_use"
    assert stop_of(Choice(finish="stop", stop_sequence="x"), called=False) == "stop_sequence"
    assert stop_of(Choice(), called=False) == "end_turn"
    assert stop_of(Choice(finish="refusal", detail="refusal"), called=False) == "content_filtered"


@given(made.TOLD)
def test_any_block_is_told_so_that_it_can_be_read(block):
    told = encode_answer(Answer(choices=(Choice(content=(block,), finish="stop"),)))
    again = decode_answer(orjson.dumps(told))

    assert orjson.loads(orjson.dumps(encode_answer(again))) == told


@pytest.mark.shared
def test_every_recorded_answer_says_what_the_judge_reads(recordings, judge):
    for record, body in whole(recordings, "bedrock.converse"):
        answer, truth = decode_answer(body), judge.parse_response("bedrock.converse", record["response"])
        (choice,) = answer.choices
        texts = [block.text for block in choice.content if isinstance(block, Text)]
        calls = [block.name for block in choice.content if isinstance(block, ToolCall)]

        assert "".join(texts) == truth.text
        assert calls == [call["name"] for call in truth.calls]
        assert decode_answer(orjson.dumps(encode_answer(answer))).choices[0].content == choice.content


def test_what_is_new_beside_or_in_a_block_is_passed_over():
    body = answered(
        {"text": "hi", "later": {"x": 1}},
        {"reasoningContent": {}},
        {"reasoningContent": {"later": 1}},
        {"reasoningContent": {"reasoningText": None}},
        {},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": '{"a": 1}'}},
    )

    assert decode_answer(body).choices[0].content == (
        Text(text="hi"),
        ToolCall(id="t", name="f", arguments='{"a": 1}'),
    )
