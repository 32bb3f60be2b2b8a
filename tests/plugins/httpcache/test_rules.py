from __future__ import annotations

from llmproxy.plugin import Caller
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
    where = (Caller("t"), "http://h:80", "/a", Fields([]))

    assert _rules().key_of(mine, *where) != _rules().key_of(Asked(method="GET"), *where)
    hinted = Asked(method="GET", hints=((b"X-User-Id", b"1"),))
    assert _rules().key_of(hinted, *where) != _rules().key_of(Asked(method="GET"), *where)
    shared = _rules(credentials="share")
    assert shared.key_of(hinted, *where) == shared.key_of(Asked(method="GET"), *where)
    assert shared.key_of(mine, *where) == shared.key_of(Asked(method="GET"), *where)


def test_everybody_shares_what_is_public_and_no_tenant_can_be_taken_for_everybody() -> None:
    asked, where = Asked(method="GET"), ("http://h:80", "/a", Fields([]))
    own, public = _rules(), _rules(scope="public")

    assert public.key_of(asked, Caller("a"), *where) == public.key_of(asked, Caller("b"), *where)
    assert own.key_of(asked, Caller("a"), *where) != own.key_of(asked, Caller("b"), *where)
    assert own.key_of(asked, Caller("public"), *where) != public.key_of(asked, Caller("b"), *where)


def test_where_it_is_not_known_who_would_share_an_answer_there_is_no_key() -> None:
    asked, where = Asked(method="GET"), ("http://h:80", "/a", Fields([]))
    rules = _rules(scope="key")

    assert rules.key_of(asked, Caller("a"), *where) == b""
    assert rules.key_of(asked, Caller("a", "one"), *where) != rules.key_of(asked, Caller("a", "two"), *where)
