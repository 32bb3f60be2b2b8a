import orjson
import pytest

from llmproxy.errors import BadRequest, GatewayError
from llmproxy.problems import problem


def test_an_error_is_shaped_as_a_problem_with_its_code():
    """RFC 9457 §3.1."""
    reply = problem(BadRequest("unknown_route", "No route.", status=404))

    assert reply.status == 404
    assert list(reply.headers) == [("Content-Type", "application/problem+json"), ("x-should-retry", "false")]
    assert orjson.loads(reply.body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No route.",
        "code": "unknown_route",
    }


def test_a_status_without_a_name_is_an_error():
    assert orjson.loads(problem(GatewayError(599, "odd", "Odd.")).body)["title"] == "Error"


@pytest.mark.parametrize(("seconds", "told"), [(0, "0"), (1, "1"), (1.2, "2"), (-3.0, "0")])
def test_retry_after_is_told_in_whole_seconds(seconds, told):
    """RFC 9110 §10.2.3."""
    reply = problem(GatewayError(429, "slow", "Slow.", retry_after=seconds))

    assert reply.headers.get("retry-after") == told


def test_further_fields_go_along():
    reply = problem(GatewayError(405, "no", "No.", headers=[("Allow", "GET"), ("Allow", "PUT")]))

    assert reply.headers.get_all("allow") == ["GET", "PUT"]


def test_further_members_go_along():
    """RFC 9457 §3.2."""
    error = BadRequest("no", "No.")
    error.members = {"errors": [{"pointer": "#/a"}]}

    assert orjson.loads(problem(error).body)["errors"] == [{"pointer": "#/a"}]
