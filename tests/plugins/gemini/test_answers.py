from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.canonical import (
    Answer,
    Choice,
    Citation,
    Foreign,
    Image,
    Inline,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_gemini.answers import read_answer, write_answer, written_marks

USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def answer(*parts: dict[str, Any], **candidate: Any) -> Answer:
    told = {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", **candidate}
    return read_answer({"candidates": [told], "usageMetadata": USAGE, "responseId": "r"})


def test_an_answer_is_read_whole() -> None:
    told = {
        "candidates": [
            {"content": {"parts": [{"text": "b"}]}, "index": 1, "finishReason": "MAX_TOKENS"},
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "finishMessage": "Done."},
        ],
        "usageMetadata": {**USAGE, "serviceTier": "flex"},
        "modelVersion": "gemini-3-pro",
        "responseId": "r",
        "createTime": "2026-02-15T07:50:39.884152Z",
    }

    assert read_answer(told) == Answer(
        id="r",
        model="gemini-3-pro",
        created=1771141839,
        choices=(
            Choice(content=(Text(text="a"),), finish="stop", detail="STOP", explanation="Done."),
            Choice(content=(Text(text="b"),), finish="length", detail="MAX_TOKENS"),
        ),
        usage=Usage(3, 0, 0, 2, 0),
        service_tier="flex",
    )


def test_calls_decide_the_reason_and_get_ids() -> None:
    (choice,) = answer({"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}).choices

    first, second = choice.content
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert choice.finish == "tool_calls"
    assert first.id != second.id
    assert answer({"functionCall": {"name": "f"}}).choices[0].content[0] == first


@pytest.mark.parametrize(
    ("told", "finish", "detail"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter", "SAFETY"),
        ({"candidates": [], "usageMetadata": USAGE}, "error", "NO_CANDIDATES"),
        ({"usageMetadata": USAGE}, "error", "NO_CANDIDATES"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "content_filter", "SAFETY"),
        (
            {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]},
            "length",
            "MAX_TOKENS",
        ),
        ({"candidates": [{}]}, None, ""),
    ],
)
def test_an_answer_may_hold_nothing(told: dict[str, Any], finish: str | None, detail: str) -> None:
    (choice,) = read_answer(told).choices

    assert (choice.content, choice.finish, choice.detail) == ((), finish, detail)


def test_citations_hang_on_the_text() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]}

    (text,) = answer({"text": "Hi"}, groundingMetadata=grounding).choices[0].content

    assert text == Text(text="Hi", citations=(Citation(kind="url", url="u", title="t"),))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"candidates": 3},
        {"candidates": [3]},
        {"totalTokens": 3},
    ],
)
def test_what_is_no_answer_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="candidates"):
        read_answer(told)


def test_every_block_comes_back() -> None:
    content = (
        Reasoning(text="Hm", origin="gemini"),
        Text(text="Hé", citations=(Citation(kind="url", url="u", title="t", text_start=0, text_end=2),)),
        Image(source=Inline(media_type="image/png", data="QQ==")),
        Foreign(origin="gemini", value={"executableCode": {"code": "1"}}),
        ToolCall(id="c", name="f", arguments='{"a":1}', signature="s"),
        Text(text="", signature="t"),
    )
    whole = Answer(
        id="r",
        model="m",
        created=1771141839,
        choices=(Choice(content=content, finish="tool_calls", detail="STOP", explanation="x"),),
        usage=Usage(3, 1, 0, 2, 4),
        service_tier="flex",
    )

    assert read_answer(orjson.loads(orjson.dumps(write_answer(whole)))) == whole


def test_another_providers_answer_is_worded_for_gemini() -> None:
    choice = Choice(
        content=(
            Reasoning(text="Hm", signature="s", origin="anthropic"),
            Refusal(text="No"),
            Foreign(origin="anthropic", value={}),
        ),
        finish="refusal",
        detail="refusal",
    )

    told = write_answer(Answer(model="claude", choices=(choice,)))

    (candidate,) = told["candidates"]
    assert [part["text"] for part in candidate["content"]["parts"]] == ["Hm", "No"]
    assert candidate["finishReason"] == "SAFETY"
    assert told["usageMetadata"] == {}
    assert told["modelVersion"] == "claude"


def test_a_time_that_no_calendar_has_is_not_told():
    assert "createTime" not in written_marks("x", "m", 10**15)
    assert written_marks("", "m", 1_771_141_849)["createTime"] == "2026-02-15T07:50:49Z"
