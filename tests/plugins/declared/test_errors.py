from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors, Headers
from llmproxy_declared.errors import ErrorReader, ErrorsConfig


def reader(**config: Any) -> ErrorReader:
    return ErrorReader(decode_struct(ErrorsConfig, config, "errors"))


@pytest.mark.parametrize(
    ("config", "document", "expected"),
    [
        ({}, {"error": "out of memory"}, (500, "server", "out of memory")),
        ({}, {"error": {"message": "slow down", "code": 429}}, (429, "rate_limit", "slow down")),
        ({}, {"error": {"message": "bad", "type": "invalid_request_error"}}, (400, "invalid_request", "bad")),
        (
            {"message": "/why", "code": "/what", "kinds": {"E7": "quota"}},
            {"error": 1, "why": "no money", "what": "E7"},
            (402, "quota", "no money"),
        ),
        ({"status": "/http"}, {"error": "gone", "http": 404}, (404, "not_found", "gone")),
        ({"status": "/http"}, {"error": "odd", "http": 200}, (500, "server", "odd")),
        ({"message": "/x"}, {"error": True}, (500, "server", "The provider gave no reason.")),
    ],
)
def test_an_error_in_a_good_answer_has_the_status_that_it_says(config, document, expected):
    errors = reader(**config)

    assert errors.told(document)
    error = errors.read(document)
    assert (error.status, error.kind, error.message) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (422, {"error": "too long", "error_type": "validation"}, ("invalid_request", "too long", "validation")),
        (503, {"error": "busy", "error_type": "overloaded"}, ("overloaded", "busy", "overloaded")),
        (404, {"message": "model 'x' not found"}, ("not_found", "model 'x' not found", "not_found")),
        (500, b"<html>oops</html>", ("server", "The provider gave no reason.", "server")),
        (500, b"plain words", ("server", "plain words", "server")),
        (400, {"detail": [{"msg": "no"}]}, ("invalid_request", '[{"msg":"no"}]', "invalid_request")),
    ],
)  # fmt: skip
def test_a_failed_call_is_read_in_any_usual_shape(status, body, expected):
    data = body if isinstance(body, bytes) else orjson.dumps(body)

    error = reader().of_body(data, status, Headers.of({"Retry-After": "7"}))

    assert error.status == status
    assert (error.kind, error.message, error.code) == expected
    assert ("Retry-After", "7") in error.headers


def test_a_code_says_more_than_a_status_that_says_otherwise():
    errors = reader(code="/code", kinds={"V": "invalid_request", "O": "overloaded"})

    assert errors.of_body(b'{"error":"no","code":"V"}', 422, None).status == 422
    assert errors.of_body(b'{"error":"no","code":"O"}', 429, None).status == 503
    assert errors.of_body(b'{"error":"no","code":"O"}', 429, None).kind == "overloaded"


def test_no_error_repeats_a_secret():
    errors = ErrorReader(ErrorsConfig(), ["hunter22"])

    assert errors.of_body(b'{"error":"bad key hunter22"}', 401, None).message == "bad key ***"
    assert errors.read({"error": {"why": ["hunter22"]}}).message == '{"why":["***"]}'


def test_an_event_named_error_is_one():
    assert reader(when="/nothing").told("words", "error")
    assert reader().read("words").message == "words"


def test_a_good_answer_is_no_error():
    assert not reader().told({"error": None, "text": "x"})
    assert not reader(when={"/ok": False}).told({"ok": True, "error": "none"})


def test_a_kind_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(ConfigErrors, match=r"errors.kinds.E1: 'rate-limit' .*did you mean 'rate_limit'"):
        reader(kinds={"E1": "rate-limit"})
