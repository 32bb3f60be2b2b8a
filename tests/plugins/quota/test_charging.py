import pytest

from llmproxy.errors import UpstreamError
from llmproxy.exchange import Attempt
from llmproxy.plugin import Endpoint, GatewayError, Usage
from llmproxy_quota.charging import is_free


def attempt(
    status: int | None = None, error: BaseException | None = None, usage: Usage | None = None
) -> Attempt:
    return Attempt(1, Endpoint("main"), 0.0, status=status, error=error, usage=usage)


@pytest.mark.parametrize(
    ("made", "free"),
    [
        (attempt(error=UpstreamError("x", "", phase="headers", sent=True)), False),
        (attempt(error=GatewayError(502, "x", "")), False),
        (attempt(error=ConnectionAbortedError()), False),
        (attempt(), False),
        (attempt(status=500), True),
        (attempt(status=400, usage=Usage(input=1)), False),
        (attempt(status=200), False),
    ],
)
def test_only_what_cannot_have_been_used_is_free(made: Attempt, free: bool) -> None:
    assert is_free(made) is free
