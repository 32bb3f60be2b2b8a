from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import Caller
from llmproxy.testing import make_exchange
from llmproxy_httpcache.config import GraphQL, HttpCacheRoute
from llmproxy_httpcache.explaining import explain, told
from llmproxy_httpcache.planning import plan_of
from llmproxy_httpcache.rules import Rules

SECRETS = ("secret-path", "secret-token", "secret-body", "secret-user")


def _explained(
    route: HttpCacheRoute, method: str = "GET", body: bytes = b"", **headers: str
) -> dict[str, Any]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    exchange = make_exchange(method, "/secret-path?a=1", headers=fields, caller=Caller("tenant", "key"))
    return explain(Rules("catalogue", route), exchange, body)


def _parts(explained: dict[str, Any]) -> dict[str, str]:
    return {part["name"]: part["digest"] for part in explained["parts"]}


def test_it_tells_which_terms_hold_and_why() -> None:
    explained = _explained(HttpCacheRoute(profile="semi-static", ttl=60.0))

    assert explained["profile"] == "semi-static"
    assert ["ttl", "1m", "the route's own"] in explained["terms"]
    assert ["stale_if_error", "1d", "profile semi-static"] in explained["terms"]
    assert explained["stored"] == "if the answer may be"


def test_the_parts_differ_where_the_keys_do() -> None:
    route = HttpCacheRoute(profile="personal", methods=("GET", "POST"), vary=("Accept",))
    known = {"Authorization": "secret-token", "Accept": "a"}
    one = _explained(route, "POST", b"secret-body", **known)
    for changed, body, name in (
        ({"Accept": "b"}, b"secret-body", "field accept"),
        ({"Authorization": "other"}, b"secret-body", "credentials"),
        ({}, b"other", "body"),
    ):
        other = _explained(route, "POST", body, **{**known, **changed})

        assert one["key"] != other["key"]
        assert _parts(one)[name] != _parts(other)[name]
        assert set(_parts(one)) == {
            *("tenant", "route", "origin", "target", "field accept"),
            *("scope end-user", "credentials", "method", "body"),
        }


def test_a_query_is_told_by_its_parts() -> None:
    route = HttpCacheRoute(profile="api", graphql=GraphQL())
    body = b'{"query": "{secret-body: a}", "variables": {"secret-user": 1}, "secret-path": 1}'.replace(
        b"-", b"_"
    )
    json = {"Content_Type": "application/json"}
    explained = _explained(route, "POST", body, **json)
    mutation = _explained(route, "POST", b'{"query": "mutation {a}"}', **json)

    assert {"document", "variables", "member", "accept"} <= set(_parts(explained))
    assert explained["ends"] == ""
    assert (mutation["stored"], mutation["key"]) == ("no: mutation", "")
    assert mutation["ends"].startswith("the answers with the entities")


@pytest.mark.parametrize(
    ("route", "method", "headers", "why"),
    [
        (HttpCacheRoute(), "GET", {}, "stateless"),
        (HttpCacheRoute(profile="api"), "PUT", {}, "method"),
        (HttpCacheRoute(profile="api", scope="team"), "GET", {}, "no-team"),
        (HttpCacheRoute(profile="api"), "GET", {"If_Match": "*"}, "condition"),
        (HttpCacheRoute(profile="api"), "GET", {"Content_Length": "5"}, "a GET with a body"),
    ],
)
def test_it_tells_why_an_answer_is_not_stored(
    route: HttpCacheRoute, method: str, headers: dict[str, str], why: str
) -> None:
    explained = _explained(route, method, **headers)

    assert explained["stored"].startswith("no: ")
    assert why in explained["stored"]
    assert (explained["ends"] != "") == (method == "PUT")


def test_nothing_of_the_request_can_be_read_from_it() -> None:
    route = HttpCacheRoute(profile="personal", methods=("POST",), user_header="X-User")
    text = str(_explained(route, "POST", b"secret-body", Authorization="secret-token", X_User="secret-user"))

    assert not any(secret in text for secret in SECRETS)


def test_digests_of_one_tenant_say_nothing_of_anothers() -> None:
    rules = Rules("route", HttpCacheRoute(profile="api"))
    digests = [
        {
            part["digest"]
            for part in explain(rules, make_exchange("GET", "/a", caller=Caller(name)), b"")["parts"]
        }
        for name in ("one", "two")
    ]

    assert not digests[0] & digests[1]


def test_the_key_is_the_one_that_is_used() -> None:
    from llmproxy.caches import key_name

    rules, exchange = Rules("route", HttpCacheRoute(profile="api")), make_exchange("GET", "/a")
    lines = dict(told(rules, exchange, b""))

    assert lines["key"] == key_name(plan_of(exchange, rules).key)
    assert lines["profile"] == "api (the route's own)"
    assert "key part target" in lines
