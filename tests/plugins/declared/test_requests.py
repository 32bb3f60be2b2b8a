from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, ConfigError, UpstreamRequest
from llmproxy.testing import make_exchange
from llmproxy_declared.requests import RequestTemplate
from llmproxy_declared.sources import GENERATE


def template(**given: Any) -> RequestTemplate:
    parts: dict[str, Any] = {"method": "POST", "path": "/x", "query": {}, "headers": {}, "body": None}
    return RequestTemplate(**{**parts, **given}, known=GENERATE)


def filled(values: dict[str, Any], **given: Any) -> UpstreamRequest:
    return template(**given).fill(
        make_exchange(headers={"X-Trace": "t", "Authorization": "k"}).request, values
    )


def test_a_request_is_made_of_its_templates():
    request = filled(
        {"model": "m", "prompt": "Hi", "user": "ada", "max_tokens": 5},
        path="/models/{model}:ask",
        query={"version": "2", "who": "{user}", "seed": "{seed}"},
        headers={"X-User": "{user}", "X-Seed": "{seed}"},
        body={"q": "{prompt}", "n": "{max_tokens}", "o": {"seed": "{seed}"}, "k": [1, None]},
    )

    assert (request.method, request.target) == ("POST", "/models/m:ask?version=2&who=ada")
    assert orjson.loads(request.body) == {"q": "Hi", "n": 5, "k": [1, None]}
    fields = {name.lower(): value for name, value in request.headers.raw}
    assert fields == {b"x-trace": b"t", b"x-user": b"ada", b"content-type": b"application/json"}


def test_a_request_may_have_no_body_or_an_empty_one():
    assert filled({}, method="GET").body == b""
    assert filled({}, body={"seed": "{seed}"}).body == b"{}"


@pytest.mark.parametrize(
    ("path", "model", "expected"),
    [
        ("/m/{model}", "a/b c", "/m/a%2Fb%20c"),
        ("/m/{model_path}/p", "@cf/meta/llama", "/m/@cf/meta/llama/p"),
        ("/m/{model}", "a?b#c", "/m/a%3Fb%23c"),
        ("/m/{model|none}", None, "/m/none"),
    ],
)
def test_a_model_stays_where_it_stands(path, model, expected):
    values = {} if model is None else {"model": model, "model_path": model}

    assert filled(values, path=path).target == expected


@pytest.mark.parametrize(
    "model", ["", "..", ".", "a/../b", "a//b", "/a", "../../admin", "a/", "a/./b", "a\\..\\b", "..;/a"]
)
def test_a_model_leads_nowhere_else(model):
    with pytest.raises(BadRequest, match="model's name cannot stand"):
        filled({"model_path": model}, path="/m/{model_path}")


@given(st.text(max_size=20))
def test_whatever_a_model_is_called_its_path_has_as_many_segments(model):
    try:
        target = filled({"model": model}, path="/m/{model}/p").target
    except BadRequest:
        assert not model.strip(".") or set("/\\;") & set(model)
        return

    assert target.count("/") == 3
    assert target.isascii()
    assert target.isprintable()
    assert unquote(target) == f"/m/{model}/p" or not model.isprintable() or "\ufffd" in model or "?" in model


def test_a_header_takes_no_line_break():
    with pytest.raises(BadRequest, match="control character"):
        filled({"user": "a\r\nX-Evil: 1"}, headers={"X-User": "{user}"})


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"path": "x"}, "path", "does not begin with a slash"),
        ({"path": "/x?y=1"}, "path", "written in `query`"),
        ({"path": "/x y"}, "path", "holds a space"),
        ({"path": "/x/../y"}, "path", "segment of dots"),
        ({"path": "/{modle}"}, "path", "did you mean 'model'"),
        ({"headers": {"Host": "x"}}, "headers.Host", "cannot be set"),
        ({"headers": {"a b": "x"}}, "headers.a b", "cannot be set"),
        ({"query": {"a": "{x}"}}, "query.a", "is not known here"),
    ],
)
def test_what_cannot_be_sent_is_told_with_its_place(given, path, message):
    with pytest.raises(ConfigError) as caught:
        template(**given)

    assert caught.value.path == path
    assert message in str(caught.value)
