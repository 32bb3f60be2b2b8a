import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_anthropic.conversation import edits


def edited(body: bytes, *messages: MessageEdit):
    return orjson.loads(patch(body, [(e.start, e.end, e.data) for e in edits(body, messages)]))


BODY = b'{"model":"m", "messages": [ {"role":"user","content":"a"} , {"role":"user","content":"b"} ]}'


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (MessageEdit(0, "user", "x"), ["x", "a", "b"]),
        (MessageEdit(1, "assistant", "x"), ["a", "x", "b"]),
        (MessageEdit(-1, "user", "x"), ["a", "x", "b"]),
        (MessageEdit(9, "user", "x"), ["a", "b", "x"]),
        (MessageEdit(-9, "user", "x"), ["x", "a", "b"]),
        (MessageEdit(-1, "user", "x", replace=True), ["a", "x"]),
    ],
)
def test_a_message_is_put_in(edit, expected):
    assert [message["content"] for message in edited(BODY, edit)["messages"]] == expected


def test_messages_are_put_into_an_empty_list():
    got = edited(b'{"messages":[ ]}', MessageEdit(0, "user", "a"), MessageEdit(0, "user", "b"))

    assert [message["content"] for message in got["messages"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (b'"Be \\"kind\\"."', 'Be "kind".\n\nNow.\n\nMore "so".'),
        (b'""', 'Now.\n\nMore "so".'),
        (b"null", 'Now.\n\nMore "so".'),
        (b"[ ]", [{"type": "text", "text": 'Now.\n\nMore "so".'}]),
        (
            b'[{"type":"text","text":"a"} ]',
            [{"type": "text", "text": "a"}, {"type": "text", "text": 'Now.\n\nMore "so".'}],
        ),
    ],
)
def test_instructions_are_added_to_system(system, expected):
    body = b'{"system":' + system + b',"messages":[]}'
    got = edited(body, MessageEdit(0, "system", "Now."), MessageEdit(5, "developer", 'More "so".'))

    assert got["system"] == expected
    assert got["messages"] == []


def test_instructions_make_a_system_where_there_is_none():
    got = edited(BODY, MessageEdit(0, "system", "Now."), MessageEdit(0, "user", "x"))

    assert got["system"] == "Now."
    assert len(got["messages"]) == 3


@pytest.mark.parametrize(
    ("body", "edit", "code"),
    [
        (b'{"model":"m"}', MessageEdit(0, "user", "x"), "no_conversation"),
        (b'{"messages":"x"}', MessageEdit(0, "user", "x"), "no_conversation"),
        (BODY, MessageEdit(2, "user", "x", replace=True), "no_such_message"),
        (BODY, MessageEdit(0, "system", "x", replace=True), "no_such_message"),
        (b'{"messages":[],"system":3}', MessageEdit(0, "system", "x"), "invalid_type"),
        (b'{"messages":[],"messages":[]}', MessageEdit(0, "user", "x"), "duplicate_key"),
    ],
)
def test_what_cannot_be_edited_is_refused(body, edit, code):
    with pytest.raises(BadRequest) as caught:
        edited(body, edit)

    assert caught.value.code == code


@given(st.text(), st.text(), st.sampled_from(["text", "list"]))
def test_any_text_is_added(before, more, form):
    system = before if form == "text" else [{"type": "text", "text": before}]
    body = orjson.dumps({"messages": [], "system": system})

    got = edited(body, MessageEdit(0, "system", more))["system"]

    texts = got if form == "text" else "".join(block["text"] for block in got)
    assert texts.startswith(before)
    assert texts.endswith(more)
