from __future__ import annotations

import pytest

from llmproxy.plugin import BadRequest, MessageEdit, patch
from llmproxy_ollama.conversation import edits

BODY = b'{"model":"m","messages":[{"role":"user","content":"a"}]}'


def edited(body, *messages):
    return patch(body, [(edit.start, edit.end, edit.data) for edit in edits(body, messages)])


def test_messages_are_put_into_their_place():
    changed = edited(BODY, MessageEdit(0, "developer", "b"))

    assert changed == BODY.replace(b"[{", b'[{"role":"system","content":"b"},{')


def test_a_prompt_has_no_place_for_them():
    with pytest.raises(BadRequest):
        edits(b'{"model":"m","prompt":"a"}', [MessageEdit(0, "user", "b")])
