from __future__ import annotations

import orjson
import pytest

from llmproxy.plugin import Form, Untellable
from llmproxy_ollama.retelling import form_of, retell

from .conftest import CALL, STREAM, last, line, piece, reply, streamed, whole

WHOLE, LINES = Form("ollama", "chat"), Form("ollama", "chat", True)


@pytest.mark.parametrize(
    ("path", "kind", "form"),
    [
        ("/api/chat", None, Form("ollama", "chat", True)),
        ("/api/chat", "application/json", Form("ollama", "chat")),
        ("/api/generate", "application/x-ndjson", Form("ollama", "generate", True)),
        ("/api/embed", None, Form("ollama", "embed")),
        ("/api/show", None, Form("ollama")),
    ],
)
def test_a_form_is_what_is_asked_for_or_what_came(exchange_for, path, kind, form):
    assert form_of(exchange_for(path), None if kind is None else reply(kind)) == form


def test_lines_are_put_together():
    told = orjson.loads(retell(STREAM, LINES, WHOLE))

    assert told["message"] == {
        "role": "assistant",
        "content": "Grüße ✓",
        "thinking": "hm",
        "tool_calls": [CALL],
    }
    assert (told["done"], told["eval_count"]) == (True, 7)
    assert list(told)[:3] == ["model", "created_at", "message"]


def test_a_whole_answer_is_told_as_lines_and_put_together_again():
    once = retell(STREAM, LINES, WHOLE)
    lines = retell(once, WHOLE, LINES)

    assert lines.count(b"\n") == 2
    assert orjson.loads(retell(lines, LINES, WHOLE)) == orjson.loads(once)


@pytest.mark.parametrize("data", [b"", piece("Hi"), piece("Hi") + line(error="x"), b"[]\n"])
def test_what_is_not_whole_is_not_told(data):
    with pytest.raises(Untellable):
        retell(data, LINES, WHOLE)


def test_a_whole_answer_that_is_none_is_not_told():
    with pytest.raises(Untellable):
        retell(piece("Hi"), WHOLE, LINES)


def test_recorded_answers_survive_both_ways(recordings):
    for _, body in whole(recordings):
        if b'"error"' not in body:
            assert orjson.loads(retell(retell(body, WHOLE, LINES), LINES, WHOLE)) == orjson.loads(body)
    for record, data in streamed(recordings):
        told = orjson.loads(retell(data, LINES, WHOLE))
        end = orjson.loads(record["response"]["lines"][-1])

        assert told["eval_count"] == end["eval_count"]
        assert told.get("context") == end.get("context")


def test_log_probabilities_are_put_together():
    one = line(model="m", message={"content": "a"}, logprobs=[1], done=False)
    two = line(model="m", message={"content": "b"}, logprobs=[2], done=False)

    assert orjson.loads(retell(one + two + last(), LINES, WHOLE))["logprobs"] == [1, 2]
