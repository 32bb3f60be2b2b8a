from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_openai.conversation import edits


def edited(body: bytes, *messages: MessageEdit) -> bytes:
    return patch(body, [(edit.start, edit.end, edit.data) for edit in edits(body, messages)])


def said(body: bytes, key: str = "messages") -> list[str]:
    return [message["content"] for message in orjson.loads(body)[key]]


def conversation(*texts: str) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text} for text in texts]})


def test_a_message_goes_before_the_one_at_its_index() -> None:
    body = edited(conversation("a", "b"), MessageEdit(1, "system", "new"))

    assert said(body) == ["a", "new", "b"]
    assert orjson.loads(body)["messages"][1] == {"role": "system", "content": "new"}


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0, "xab"), (2, "abx"), (9, "abx"), (-1, "axb"), (-2, "xab"), (-9, "xab")],
)
def test_indexes_count_from_either_end(at: int, expected: str) -> None:
    assert "".join(said(edited(conversation("a", "b"), MessageEdit(at, "user", "x")))) == expected


def test_a_message_is_replaced() -> None:
    assert said(edited(conversation("a", "b"), MessageEdit(-1, "user", "x", replace=True))) == ["a", "x"]


def test_several_edits_keep_their_order() -> None:
    changes = [
        MessageEdit(2, "user", "3"),
        MessageEdit(0, "user", "1"),
        MessageEdit(0, "user", "2"),
        MessageEdit(0, "user", "A", replace=True),
        MessageEdit(2, "user", "4"),
    ]

    assert said(edited(conversation("a", "b"), *changes)) == ["1", "2", "A", "b", "3", "4"]


def test_an_empty_conversation_is_begun() -> None:
    body = edited(b'{"messages": [ ] }', MessageEdit(0, "user", "a"), MessageEdit(0, "user", "b"))

    assert said(body) == ["a", "b"]


def test_responses_input_is_edited_where_it_is_a_list() -> None:
    body = edited(b'{"input":[{"role":"user","content":"a"}]}', MessageEdit(0, "developer", "x"))

    assert said(body, "input") == ["x", "a"]


def test_bytes_before_the_edit_stay_as_they_are() -> None:
    body = b'{ "n" : 1.00, "messages" : [ {"content":"\\u0061","role":"user"} , {"x":[1,{"y":"]"}]} ] }'

    out = edited(body, MessageEdit(-1, "user", "x"))

    assert out.startswith(body[: body.index(b'{"x"')])
    assert out.endswith(body[body.index(b'{"x"') :])


@pytest.mark.parametrize("body", [b'{"input":"text"}', b'{"messages":{}}', b"{}", b'{"prompt":["a"]}'])
def test_a_request_without_conversation_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        edits(body, [MessageEdit(0, "user", "x")])

    assert caught.value.code == "no_conversation"


@pytest.mark.parametrize("at", [2, -3])
def test_what_is_not_there_is_not_replaced(at: int) -> None:
    with pytest.raises(BadRequest, match="has 2 messages"):
        edits(conversation("a", "b"), [MessageEdit(at, "user", "x", replace=True)])
