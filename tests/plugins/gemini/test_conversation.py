from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_gemini.conversation import edits

USER = {"role": "user", "parts": [{"text": "Hi"}]}
MODEL = {"role": "model", "parts": [{"text": "Ho"}]}


def edited(body: bytes | dict[str, Any], *messages: MessageEdit) -> Any:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return orjson.loads(patch(raw, [(e.start, e.end, e.data) for e in edits(raw, messages)]))


@pytest.mark.parametrize(("at", "place"), [(0, 0), (1, 1), (2, 2), (9, 2), (-1, 1), (-9, 0)])
def test_a_message_is_put_before_the_index(at: int, place: int) -> None:
    body = edited({"contents": [USER, MODEL]}, MessageEdit(at, "assistant", "Hm"))

    assert body["contents"][place] == {"role": "model", "parts": [{"text": "Hm"}]}
    assert len(body["contents"]) == 3


def test_bytes_before_an_edit_stay_as_they_are() -> None:
    raw = b'{ "contents" : [ {"role":"user","parts":[]} ] , "z":1}'

    (edit,) = edits(raw, [MessageEdit(9, "user", "more")])

    assert raw[: edit.start] == b'{ "contents" : [ {"role":"user","parts":[]}'


def test_a_message_stands_in_anothers_place() -> None:
    body = edited({"contents": [USER, MODEL]}, MessageEdit(-1, "user", "Hm", replace=True))

    assert body["contents"] == [USER, {"role": "user", "parts": [{"text": "Hm"}]}]


def test_an_empty_conversation_is_filled_in_order() -> None:
    body = edited({"contents": []}, MessageEdit(0, "user", "a"), MessageEdit(0, "user", "b"))

    assert [c["parts"][0]["text"] for c in body["contents"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ({}, [{"text": "New"}]),
        ({"systemInstruction": {"parts": []}}, [{"text": "New"}]),
        ({"systemInstruction": {"parts": [{"text": "Old"}]}}, [{"text": "New"}, {"text": "Old"}]),
        ({"system_instruction": {"parts": [{"text": "Old"}]}}, [{"text": "New"}, {"text": "Old"}]),
        ({"systemInstruction": {"parts": {"text": "Old"}}}, [{"text": "New"}, {"text": "Old"}]),
        ({"systemInstruction": "Old"}, [{"text": "New"}, {"text": "Old"}]),
    ],
)
def test_instructions_go_before_those_that_are_there(
    system: dict[str, Any], expected: list[dict[str, str]]
) -> None:
    body = edited({"contents": [USER], **system}, MessageEdit(0, "system", "New"))

    told = body.get("systemInstruction") or body.get("system_instruction")
    assert told["parts"] == expected
    assert body["contents"] == [USER]


def test_a_late_instruction_is_a_users_turn() -> None:
    body = edited({"contents": [USER, MODEL]}, MessageEdit(2, "system", "Now"))

    assert body["contents"][2] == {"role": "user", "parts": [{"text": "Now"}]}


def test_a_counting_call_wraps_its_conversation() -> None:
    body = edited({"generateContentRequest": {"contents": [USER]}}, MessageEdit(1, "assistant", "Ho"))

    assert body["generateContentRequest"]["contents"] == [USER, MODEL]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "no_conversation"),
        (b'{"contents":"Hi"}', "no_conversation"),
        (b"[", "invalid_json"),
        (b'{"contents":[],"contents":[]}', "duplicate_key"),
    ],
)
def test_a_body_without_a_conversation_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        edits(body, [MessageEdit(0, "user", "x")])

    assert refused.value.code == code


def test_there_is_nothing_to_replace_beyond_the_end() -> None:
    with pytest.raises(BadRequest, match="none at 3"):
        edits(orjson.dumps({"contents": [USER]}), [MessageEdit(3, "user", "x", replace=True)])


@given(count=st.integers(0, 4), ats=st.lists(st.integers(-6, 6), min_size=1, max_size=4))
def test_any_insertions_leave_json_with_all_of_them(count: int, ats: list[int]) -> None:
    body = edited({"contents": [USER] * count}, *(MessageEdit(at, "user", "x") for at in ats))

    assert len(body["contents"]) == count + len(ats)
