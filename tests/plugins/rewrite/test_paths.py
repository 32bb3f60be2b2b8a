from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, has_dot_segment, normalise_path
from llmproxy_rewrite.expressions import compile_expression
from llmproxy_rewrite.paths import PathRule
from llmproxy_rewrite.templates import Template


def values(**known: str) -> Callable[[str, str], str | None]:
    return lambda kind, name: known.get(f"{kind}_{name}")


def rewritten(path: str, replace: tuple[tuple[str, str], ...] = (), **rule: Any) -> str:
    compiled = [(compile_expression(text), Template(by)) for text, by in replace]
    return PathRule(replace=compiled, **rule).apply(path, values())


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/v1/orders", "/orders"),
        ("/v1", "/"),
        ("/v1/", "/"),
        ("/v10/orders", "/v10/orders"),
        ("/v1%2Forders", "/v1%2Forders"),
        ("/%761/orders", "/orders"),
        ("/v1/a//b/", "/a//b/"),
        ("/other", "/other"),
    ],
)
def test_a_prefix_is_cut_at_a_whole_segment(path: str, result: str) -> None:
    assert rewritten(path, strip="/v1") == result


def test_a_prefix_is_put_before_what_is_left() -> None:
    assert rewritten("/v1/orders", strip="/v1", add="/api") == "/api/orders"


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/users/7", "/people/7"),
        ("/users/7/x", "/users/7/x"),
        ("/old/a/b", "/new/b/a"),
        ("/old/a%2Fb/c", "/new/c/a%2Fb"),
    ],
)
def test_the_first_expression_that_takes_the_whole_path_gives_the_new_one(path: str, result: str) -> None:
    rules = (
        (r"/users/(?P<id>[0-9]+)", "/people/{match.id}"),
        (r"/old/(?P<a>[^/]+)/(?P<b>[^/]+)", "/new/{match.b}/{match.a}"),
        (r"/old/.*", "/never"),
    )

    assert rewritten(path, rules) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("7", "/people/7"),
        ("a/b", "/people/a%2Fb"),
        ("a?b#c", "/people/a%3Fb%23c"),
        ("%2e%2e", "/people/%252e%252e"),
        ("a b\r\n", "/people/a%20b%0D%0A"),
        ("\xfc", "/people/%C3%BC"),
    ],
)
def test_a_value_stays_inside_its_segment(value: str, result: str) -> None:
    assert PathRule(to=Template("/people/{path.id}")).apply("/x", values(path_id=value)) == result


def test_the_rest_of_a_path_stays_as_it_was_written() -> None:
    rule = PathRule(to=Template("/api/{path.rest}"), catch_all="rest")

    assert rule.apply("/x", values(path_rest="a/b%2Fc")) == "/api/a/b%2Fc"


@pytest.mark.parametrize("value", ["..", "."])
def test_a_value_that_leads_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="cannot be rewritten"):
        PathRule(to=Template("/people/{header.u}/x")).apply("/x", values(header_u=value))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/v1//evil.example/x", {"strip": "/v1"}),
        ("/x", {"replace": ((r"/(?P<a>.*)", "/{match.a}/../y"),)}),
        ("/x%2e", {"replace": ((r"/x(?P<a>.*)", "/{match.a}{match.a}/y"),)}),
        ("/x", {"replace": (("/x", "{match.x}"),)}),
        ("/x\\y", {"add": "/a"}),
    ],
)
def test_no_path_leaves_that_may_be_read_as_another(path: str, rule: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        rewritten(path, **rule)


def test_a_missing_value_is_told() -> None:
    with pytest.raises(BadRequest, match="lacks a value"):
        PathRule(to=Template("/{query.q}")).apply("/x", values())


def test_an_empty_value_is_missing_as_the_path_without_it_would_be_another_place() -> None:
    with pytest.raises(BadRequest, match="lacks a value"):
        PathRule(to=Template("/people/{query.q}/mail")).apply("/x", values(query_q=""))

    assert PathRule(to=Template("/people/{query.q|me}")).apply("/x", values(query_q="")) == "/people/me"
    assert (
        PathRule(to=Template("/api/{path.rest}"), catch_all="rest").apply("/", values(path_rest=""))
        == "/api/"
    )


@given(st.text(alphabet="/.%2eEfF5c\\v1ab;", max_size=20), st.text(max_size=8))
def test_whatever_comes_in_what_goes_out_is_a_path_without_dots(path: str, value: str) -> None:
    rule = PathRule(strip="/v1", add="/api")
    template = PathRule(to=Template("/a/{header.x}/b{path.rest}"), catch_all="rest")
    for each in (rule, template):
        try:
            result = each.apply("/" + path, values(header_x=value, path_rest=path))
        except BadRequest:
            continue

        assert result.startswith("/")
        assert not result.startswith("//")
        assert not has_dot_segment(normalise_path(result))
        assert result.isascii()
        assert not set(result) & set(" \r\n?#\\")
