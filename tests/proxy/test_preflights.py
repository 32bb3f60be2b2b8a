from __future__ import annotations

import pytest

from llmproxy.errors import GatewayError
from llmproxy.messages import ClientRequest, Headers
from llmproxy.preflights import route_of
from llmproxy.route import Route
from llmproxy.routing import Router
from llmproxy.settings import Match

ROUTES = [
    Route("orders", Match(path="/orders", methods=("POST",)), answers_preflights=True),
    Route("closed", Match(path="/closed", methods=("POST",))),
    Route("files", Match(path="/files/*", methods=("GET",))),
    Route("rest", Match(path="/files/*")),
]


def routed(path: str, method: str = "OPTIONS", **headers: str) -> str:
    fields = Headers.of({name.replace("_", "-"): value for name, value in headers.items()})
    return route_of(Router(ROUTES), ClientRequest(method, path, fields, host="h")).route.name


ANNOUNCED = {"Origin": "https://app.example", "Access_Control_Request_Method": "POST"}


def test_a_preflight_takes_the_route_of_the_request_that_it_announces() -> None:
    assert routed("/orders", **ANNOUNCED) == "orders"


@pytest.mark.parametrize("left", ["Origin", "Access_Control_Request_Method"])
def test_any_other_options_takes_its_own_route(left: str) -> None:
    with pytest.raises(GatewayError, match="takes POST"):
        routed("/orders", **{left: ANNOUNCED[left]})


def test_a_route_that_answers_no_preflights_is_not_reached_by_another_method() -> None:
    with pytest.raises(GatewayError, match="takes POST"):
        routed("/closed", **ANNOUNCED)
    assert routed("/files/a", **{**ANNOUNCED, "Access_Control_Request_Method": "GET"}) == "rest"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "p o", ""])
def test_a_preflight_of_what_no_route_takes_is_judged_as_it_is(method: str) -> None:
    with pytest.raises(GatewayError, match="takes POST"):
        routed("/orders", **{**ANNOUNCED, "Access_Control_Request_Method": method})


def test_a_request_that_is_no_preflight_takes_its_route() -> None:
    assert routed("/orders", "POST", **ANNOUNCED) == "orders"
