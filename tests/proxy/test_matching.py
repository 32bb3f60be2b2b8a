"""Which route a request takes, or what its caller is told."""

import pytest

from llmproxy.errors import GatewayError
from llmproxy.matching import find_route
from llmproxy.messages import ClientRequest, Headers
from llmproxy.routing import Router
from llmproxy.settings import Match, RouteConfig


def routed(target: str, method: str = "GET") -> str:
    routes = [
        RouteConfig(name="items", match=Match(path="/items/{id}", methods=("GET", "DELETE"))),
        RouteConfig(name="root", match=Match(path="/")),
    ]
    return find_route(Router(routes), ClientRequest(method, target, Headers(), host="h")).route.name


def test_a_request_finds_its_route_whatever_its_query() -> None:
    assert routed("/items/7?x=1") == "items"
    assert routed("/") == "root"


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nowhere", 404, "unknown_route"),
        ("POST", "/items/7", 405, "method_not_allowed"),
        ("GET", "/items/../admin", 400, "bad_path"),
        ("GET", "/items/%2e%2e/admin", 400, "bad_path"),
        ("GET", "http://other/items/7", 400, "bad_target"),
        ("OPTIONS", "*", 400, "bad_target"),
        ("GET", "/items/\xe9", 400, "bad_target"),
    ],
)
def test_a_request_without_a_route_is_told_why(method: str, target: str, status: int, code: str) -> None:
    with pytest.raises(GatewayError) as refusal:
        routed(target, method)

    assert (refusal.value.status, refusal.value.code) == (status, code)


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with pytest.raises(GatewayError) as refusal:
        routed("/items/7", "POST")

    assert refusal.value.headers == (("Allow", "DELETE, GET"),)
