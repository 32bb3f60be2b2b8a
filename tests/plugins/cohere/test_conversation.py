from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_cohere.conversation import edits

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


def edited(body: bytes, *messages: MessageEdit) -> list[dict[str, str]]:
    changes = [(edit.start, edit.end, edit.data) for edit in edits(body, messages)]
    told: list[dict[str, str]] = orjson.loads(patch(body, changes))["messages"]
    return told


def test_instructions_may_stand_anywhere() -> None:
    assert edited(BODY, MessageEdit(0, "developer", "Be brief."), MessageEdit(9, "assistant", "Ho")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
    ]


def test_a_body_without_a_conversation_is_refused() -> None:
    with pytest.raises(BadRequest):
        edits(b'{"message": "Hi"}', [MessageEdit(0, "user", "Hi")])
