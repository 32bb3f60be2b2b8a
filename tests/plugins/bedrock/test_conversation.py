import orjson
import pytest

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_bedrock.conversation import edits

BODY = (
    b'{ "messages": [ {"role":"user","content":[{"text":"a"}]} , {"role":"user","content":[{"text":"b"}]} ]}'
)


def edited(body, *messages):
    return orjson.loads(patch(body, [(e.start, e.end, e.data) for e in edits(body, messages)]))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (MessageEdit(0, "user", "x"), ["x", "a", "b"]),
        (MessageEdit(-1, "user", "x"), ["a", "x", "b"]),
        (MessageEdit(9, "user", "x"), ["a", "b", "x"]),
        (MessageEdit(-1, "user", "x", replace=True), ["a", "x"]),
    ],
)
def test_a_message_is_put_in(edit, expected):
    assert [turn["content"][0]["text"] for turn in edited(BODY, edit)["messages"]] == expected


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (b"", ["x"]),
        (b'"system":null,', ["x"]),
        (b'"system":[],', ["x"]),
        (b'"system": [ {"text":"be"} ] ,', ["be", "x"]),
    ],
)
def test_instructions_are_added_at_the_end_of_the_others(system, expected):
    body = b"{" + system + BODY[1:]

    assert [block["text"] for block in edited(body, MessageEdit(0, "system", "x"))["system"]] == expected


@pytest.mark.parametrize(
    ("body", "edit"),
    [
        (BODY, MessageEdit(0, "system", "x", replace=True)),
        (b'{"system":"be","messages":[]}', MessageEdit(0, "system", "x")),
        (b"{}", MessageEdit(0, "user", "x")),
    ],
)
def test_what_cannot_be_edited_is_refused(body, edit):
    with pytest.raises(BadRequest):
        edits(body, [edit])
