from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Headers
from llmproxy_cors.config import CorsConfig
from llmproxy_cors.policy import Policy, add_vary

APP = "https://app.example"


def policy(*route_methods: str, **given: Any) -> Policy:
    return Policy(CorsConfig(**{"origins": (APP,), **given}), route_methods or None)


def permitted(of: Policy, **request: str) -> dict[str, str]:
    return dict(
        of.permit(APP, Headers.of({name.replace("_", "-"): value for name, value in request.items()}))
    )


def test_a_page_is_told_its_own_origin() -> None:
    assert policy().grant(APP) == [("Access-Control-Allow-Origin", APP)]


def test_everybody_is_told_the_same_where_everybody_may() -> None:
    everybody = policy(origins=("*",), expose=("*",))

    assert everybody.same_for_all
    assert everybody.grant("null") == [
        ("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "*"),
    ]  # fmt: skip


def test_credentials_come_with_the_origin() -> None:
    assert policy(credentials=True, expose=("X-A", "X-B")).grant(APP) == [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "X-A, X-B"),
    ]


@pytest.mark.parametrize(
    ("of", "methods"),
    [
        (policy(), "GET, HEAD, POST, PUT, PATCH, DELETE"),
        (policy("GET", "POST", "OPTIONS"), "GET, POST"),
        (policy("GET", methods=("PUT",)), "PUT"),
    ],
)
def test_methods_are_the_policys_or_the_routes_or_the_usual_ones(of: Policy, methods: str) -> None:
    assert permitted(of)["Access-Control-Allow-Methods"] == methods


def test_headers_are_those_that_are_named_whatever_is_asked_for() -> None:
    fields = permitted(policy(headers=("X-A", "Authorization")), Access_Control_Request_Headers="x-evil")

    assert fields["Access-Control-Allow-Headers"] == "X-A, Authorization"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("authorization,x-a", "authorization, x-a"),
        ("", None),
        ("x-a, b c", None),
        ("x-a\x0bb", None),
        (",".join(f"x-{n}" for n in range(65)), None),
        ("x" * 5000, None),
    ],
)
def test_where_all_headers_are_allowed_those_asked_for_are_told(asked: str, told: str | None) -> None:
    fields = permitted(policy(headers=("*",)), Access_Control_Request_Headers=asked)

    assert fields.get("Access-Control-Allow-Headers") == told


@pytest.mark.parametrize(
    ("allowed", "asked", "told"), [(True, "true", True), (True, "1", False), (False, "true", False)]
)
def test_a_private_network_is_opened_only_on_demand(allowed: bool, asked: str, told: bool) -> None:
    fields = permitted(policy(private_network=allowed), Access_Control_Request_Private_Network=asked)

    assert ("Access-Control-Allow-Private-Network" in fields) is told


def test_how_long_it_holds_is_told_in_seconds() -> None:
    assert permitted(policy(max_age=90.0))["Access-Control-Max-Age"] == "90"


@pytest.mark.parametrize(
    ("given", "origin"),
    [([], None), ([("Origin", APP)], APP), ([("Origin", APP), ("origin", "https://evil.example")], "")],
)
def test_several_origins_are_none_that_is_taken(given: list[tuple[str, str]], origin: str | None) -> None:
    assert policy().origin_of(Headers.of(given)) == origin
    assert not policy().takes("")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], "Origin, X-B"),
        ([("Vary", "Accept")], "Accept, Origin, X-B"),
        ([("Vary", "accept"), ("vary", "ORIGIN")], "accept, ORIGIN, X-B"),
        ([("Vary", "*")], "*"),
        ([("Vary", "x-b, origin")], "x-b, origin"),
    ],
)
def test_vary_keeps_what_it_says(before: list[tuple[str, str]], after: str) -> None:
    headers = Headers.of(before)
    add_vary(headers, "Origin", "X-B")

    assert headers.get("vary") == after
    assert len(headers) == 1


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255)))
def test_no_question_makes_a_field_that_cannot_be_written(asked: str) -> None:
    Headers.of(list(permitted(policy(headers=("*",)), Access_Control_Request_Headers=asked).items()))
