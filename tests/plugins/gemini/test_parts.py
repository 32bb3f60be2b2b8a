from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    Block,
    Foreign,
    Image,
    Inline,
    Losses,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_gemini.parts import Calls, joined_text, made_id, read_part, read_parts


def block(part: object, losses: Losses | None = None) -> Block | None:
    return read_part(part, Calls(), Losses() if losses is None else losses)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"text": "Hi"}, Text(text="Hi")),
        ("Hi", Text(text="Hi")),
        ({"text": ""}, None),
        ({}, None),
        ({"text": "Hi", "thoughtSignature": "s"}, Text(text="Hi", signature="s")),
        ({"thought_signature": "s"}, Text(text="", signature="s")),
        ({"text": "Hm", "thought": True}, Reasoning(text="Hm", origin="gemini")),
        (
            {"inline_data": {"mime_type": "image/png", "data": "QQ=="}},
            Image(source=Inline(media_type="image/png", data="QQ==")),
        ),
        (
            {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            ToolCall(id="c", name="f", arguments='{"a":1}', signature="s"),
        ),
        ({"function_call": {"id": "c", "name": "f"}}, ToolCall(id="c", name="f")),
        (
            {"executableCode": {"code": "1"}},
            Foreign(origin="gemini", value={"executableCode": {"code": "1"}}),
        ),
    ],
)
def test_a_part_is_a_block(part: object, expected: Block | None) -> None:
    assert block(part) == expected


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "x"}, "x", False),
        ({"result": 3}, "3", False),
        ({"return_value": {"a": 1}}, '{"a":1}', False),
        ({"error": "bad"}, "bad", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"a": 1, "b": "é"}, '{"a":1,"b":"é"}', False),
        ({"instructions": "x"}, '{"instructions":"x"}', False),
    ],
)
def test_a_result_is_taken_out_of_its_object(response: dict[str, Any], text: str, failed: bool) -> None:
    result = block({"functionResponse": {"id": "c", "name": "f", "response": response}})

    assert result == ToolResult(id="c", name="f", content=(Text(text=text),), is_error=failed)


def test_an_empty_result_holds_nothing() -> None:
    assert block({"functionResponse": {"id": "c", "name": "f"}}) == ToolResult(id="c", name="f")


def test_a_result_may_hold_media() -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}, {"fileData": {"fileUri": "gs://a"}}]

    result = block({"functionResponse": {"name": "f", "response": {"output": "x"}, "parts": parts}})

    assert isinstance(result, ToolResult)
    assert [type(inner).__name__ for inner in result.content] == ["Text", "Image", "Document"]


def test_calls_without_ids_are_answered_by_name_and_order() -> None:
    calls = Calls()
    first = calls.opened("f", "", "{}")
    second = calls.opened("g", "", "{}")
    third = calls.opened("f", "", "{}")

    assert len({first, second, third}) == 3
    assert calls.answered("g", "") == (second, "g")
    assert calls.answered("f", "") == (first, "f")
    assert calls.answered("f", "made-by-the-caller") == (third, "f")


def test_an_answer_without_name_and_id_is_the_next_ones() -> None:
    calls = Calls()
    first = calls.opened("f", "c1", "{}")

    assert calls.answered("", "") == (first, "f")
    assert calls.answered("f", "c9") == ("c9", "f")


def test_made_ids_are_the_same_each_time() -> None:
    assert made_id("a", 1) == made_id("a", 1) != made_id("a", 2)
    assert Calls("x").opened("f", "", "{}") != Calls("y").opened("f", "", "{}")


def test_a_signature_on_an_empty_text_belongs_to_the_text_before() -> None:
    blocks = read_parts(
        [{"text": "Hi"}, {"text": "", "thoughtSignature": "s"}, {"text": "", "thoughtSignature": "t"}],
        Calls(),
        Losses(),
    )

    assert blocks == (Text(text="Hi", signature="s"), Text(text="", signature="t"))


def test_a_thought_is_signed_likewise() -> None:
    parts = [{"text": "Hm", "thought": True}, {"text": "", "thought": True, "thoughtSignature": "s"}]

    assert read_parts(parts, Calls(), Losses()) == (Reasoning(text="Hm", signature="s", origin="gemini"),)


def test_what_goes_along_with_a_part_is_reported() -> None:
    losses = Losses()

    block({"fileData": {"fileUri": "gs://a"}, "video_metadata": {"fps": 1}}, losses)
    block({"functionCall": {"name": "f", "willContinue": True}}, losses)

    assert [loss.field for loss in losses] == [
        "contents[].parts[].videoMetadata",
        "contents[].parts[].functionCall.willContinue",
    ]


@pytest.mark.parametrize(
    "part",
    [
        3,
        {"text": 3},
        {"thoughtSignature": 3},
        {"functionCall": []},
        {"functionCall": {"args": "x"}},
        {"functionResponse": {"response": "x"}},
        {"functionResponse": {"response": {}, "parts": [3]}},
        {"inlineData": 3},
        {"fileData": {"fileUri": 3}},
    ],
)
def test_a_broken_part_is_refused(part: object) -> None:
    with pytest.raises(BadField):
        block(part)


def test_instructions_are_text_only() -> None:
    losses = Losses()

    texts = joined_text(["a", {"text": "b", "inlineData": {}}, {"text": ""}], losses, "p[]")

    assert texts == [Text(text="a"), Text(text="b")]
    assert [loss.field for loss in losses] == ["p[].inlineData"]


def test_what_only_gemini_reads_is_reported() -> None:
    losses = Losses()

    assert block({"thought": True}, losses) is None
    block({"text": "Hi", "thoughtSignature": "s"}, losses)

    assert [loss.field for loss in losses] == [
        "contents[].parts[].thought",
        "contents[].parts[].thoughtSignature",
    ]


_NAMES = st.sampled_from(["", "f", "g"])
_IDS = st.sampled_from(["", "a", "b"])


@given(st.lists(st.tuples(st.booleans(), _NAMES, _IDS), max_size=12))
def test_a_result_answers_the_first_open_call_of_its_id_or_of_its_name_where_one_had_no_id(told) -> None:
    calls, opened = Calls(), []
    for is_call, name, given_id in told:
        if is_call:
            opened.append((calls.opened(name, given_id, "{}"), name, not given_id))
            continue
        fits = [c for c in opened if given_id == c[0] or (c[1] == name and (c[2] or not given_id))]
        fits = fits or ([] if given_id or name else opened)
        answered = calls.answered(name, given_id)
        if fits:
            assert answered == fits[0][:2]
            opened.remove(fits[0])
        else:
            assert answered[1] == name
            assert answered[0] == given_id or not given_id


def test_any_number_of_results_finds_its_call() -> None:
    calls = Calls()
    for number in range(50_000):
        calls.opened("f", f"c{number}", "{}")

    assert {calls.answered("g", f"z{number}") for number in range(50_000)} == {
        (f"z{number}", "g") for number in range(50_000)
    }
    assert [calls.answered("", "")[0] for _ in range(50_000)] == [f"c{number}" for number in range(50_000)]
