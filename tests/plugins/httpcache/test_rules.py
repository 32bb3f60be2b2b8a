from __future__ import annotations

from llmproxy_httpcache.config import HttpCacheRoute, Ignored
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.rules import Rules


def _rules(**settings: object) -> Rules:
    return Rules("route", HttpCacheRoute(profile="api", **settings))  # type: ignore[arg-type]


def test_fields_that_make_no_difference_do_not_select() -> None:
    answer = Fields([(b"Vary", b"User-Agent, Foo")])
    rules = _rules(ignore=Ignored(headers=("User-Agent",)))

    assert rules.selecting(answer) == (b"foo",)
    assert _rules().selecting(answer) == (b"foo", b"user-agent")
    assert _rules().selecting(Fields([(b"Vary", b"*")])) is None


def test_requests_that_get_one_variant_have_one_selection() -> None:
    answer = Fields([(b"Vary", b"Foo")])

    assert _rules().selection(answer, Fields([(b"Foo", b"1, 2")])) == _rules().selection(
        answer, Fields([(b"foo", b"1"), (b"foo", b"2")])
    )
    assert _rules().selection(Fields([]), Fields([(b"Foo", b"1")])) == b""


def test_whose_answers_are_apart_has_keys_apart() -> None:
    mine = Asked(method="GET", credentials=((b"Cookie", b"a=b"),))
    where = ("t", "http://h:80", "/a", Fields([]))

    assert _rules().key_of(mine, *where) != _rules().key_of(Asked(method="GET"), *where)
    shared = _rules(credentials="share")
    assert shared.key_of(mine, *where) == shared.key_of(Asked(method="GET"), *where)
