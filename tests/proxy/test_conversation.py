from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.conversation import Change, edits_apart, in_order, message_edits
from llmproxy.errors import BadRequest
from llmproxy.exchange import MessageEdit
from llmproxy.jsonscan import Member, insertion, patch, scan

KEYS = frozenset({"said"})


def written(message: MessageEdit) -> bytes:
    return orjson.dumps({message.role: message.text})


def edited(body: bytes, *messages: MessageEdit) -> list[dict[str, str]]:
    changes = message_edits(body, scan(body, KEYS).get("said"), messages, written)
    whole = patch(body, [(edit.start, edit.end, edit.data) for edit in in_order(changes)])
    said: list[dict[str, str]] = orjson.loads(whole)["said"]
    return said


def said(*texts: str) -> bytes:
    return orjson.dumps({"said": [{"user": text} for text in texts]}, option=orjson.OPT_INDENT_2)


def test_a_message_is_written_by_its_dialect() -> None:
    assert edited(said("a"), MessageEdit(1, "model", "b")) == [{"user": "a"}, {"model": "b"}]


@pytest.mark.parametrize(
    ("at", "expected"), [(0, "xab"), (1, "axb"), (2, "abx"), (9, "abx"), (-1, "axb"), (-9, "xab")]
)
def test_indexes_count_from_either_end(at: int, expected: str) -> None:
    got = edited(said("a", "b"), MessageEdit(at, "user", "x"))

    assert "".join(message["user"] for message in got) == expected


def test_several_edits_keep_their_order() -> None:
    changes = [
        MessageEdit(2, "user", "3"),
        MessageEdit(0, "user", "1"),
        MessageEdit(0, "user", "2"),
        MessageEdit(-2, "user", "A", replace=True),
        MessageEdit(2, "user", "4"),
    ]

    got = edited(said("a", "b"), *changes)

    assert [message["user"] for message in got] == ["1", "2", "A", "b", "3", "4"]


def test_an_empty_list_is_filled_in_order() -> None:
    got = edited(b'{"said": [ ]}', MessageEdit(0, "user", "a"), MessageEdit(0, "user", "b"))

    assert [message["user"] for message in got] == ["a", "b"]


@pytest.mark.parametrize("body", [b"{}", b'{"said":"a"}', b'{"said":{}}'])
def test_where_there_is_no_list_nothing_is_put(body: bytes) -> None:
    with pytest.raises(BadRequest, match="no list of turns") as refused:
        message_edits(body, scan(body, KEYS).get("said"), [], written, called="turns")

    assert refused.value.code == "no_conversation"


@pytest.mark.parametrize("at", [2, -3])
def test_what_is_not_there_is_not_replaced(at: int) -> None:
    with pytest.raises(BadRequest, match=f"has 2 messages; there is none at {at}") as refused:
        edited(said("a", "b"), MessageEdit(at, "user", "x", replace=True))

    assert refused.value.code == "no_such_message"


def test_edits_inside_an_object_stand_where_it_stands_in_the_body() -> None:
    (first, second) = in_order([(7, 7, b"b"), (2, 4, b"a")], 10)

    assert (first.start, first.end, first.data) == (12, 14, b"a")
    assert (second.start, second.end, second.data) == (17, 17, b"b")


@given(count=st.integers(0, 4), ats=st.lists(st.integers(-6, 6), min_size=1, max_size=4))
def test_any_insertions_leave_json_with_all_of_them(count: int, ats: list[int]) -> None:
    assert len(edited(said(*"a" * count), *(MessageEdit(at, "user", "x") for at in ats))) == count + len(ats)


def instructed(body: bytes, member: Member | None, messages: Sequence[MessageEdit]) -> Change:
    assert member is None
    return insertion(body, "system", orjson.dumps([message.text for message in messages]))


def test_instructions_stand_apart_where_a_dialect_has_them_apart() -> None:
    body = b'{"messages":[{"user":"a"}]}'
    asked = [MessageEdit(0, "system", "s"), MessageEdit(1, "user", "b"), MessageEdit(9, "developer", "d")]

    edits = edits_apart(body, asked, written, "system", instructed)
    whole = orjson.loads(patch(body, [(edit.start, edit.end, edit.data) for edit in edits]))

    assert whole == {"system": ["s", "d"], "messages": [{"user": "a"}, {"user": "b"}]}


def test_an_instruction_apart_takes_no_messages_place() -> None:
    with pytest.raises(BadRequest, match="apart"):
        edits_apart(
            b'{"messages":[]}', [MessageEdit(0, "system", "s", replace=True)], written, "system", instructed
        )
