import orjson
import pytest

from llmproxy.caching.warmfile import Wanted, read_wanted
from llmproxy_calllog.warming import warm_lines

from .records import make_call

BODY = '{"model":"fast",  "messages":[]}'


def row(request=BODY, **fields):
    known = {"path": "/v1/chat/completions", "result": "ok", "bodies": "full", "key": "web", "team": "search"}
    return {**make_call(**{**known, **fields})._asdict(), "request": request}


def test_a_line_asks_what_was_asked_byte_for_byte_for_the_same_caller():
    (line,) = warm_lines([row()])
    wanted = read_wanted(line)

    assert isinstance(wanted, Wanted)
    assert (wanted.method, wanted.target, wanted.body) == ("POST", "/v1/chat/completions", BODY.encode())
    assert (wanted.caller.tenant, wanted.caller.key, wanted.caller.labels) == (
        "acme",
        "web",
        (("team", "search"),),
    )
    assert wanted.headers.get("content-type") == "application/json"


def test_the_same_question_of_the_same_caller_is_asked_once():
    lines = list(warm_lines([row(), row(id="req-2", result="hit"), row(tenant="shop")]))

    assert [orjson.loads(line)["tenant"] for line in lines] == ["acme", "shop"]


@pytest.mark.parametrize(
    "fields",
    [
        {"bodies": "redacted"},
        {"bodies": ""},
        {"result": "cut"},
        {"status": 429},
        {"path": ""},
        {"request": BODY[:-1] + "…"},
        {"request": None},
    ],
)
def test_what_cannot_be_asked_again_as_it_was_is_left_out(fields):
    assert list(warm_lines([row(**fields)])) == []
