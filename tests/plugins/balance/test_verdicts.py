"""What a failure says of its endpoint: of one key, of all keys, of the caller."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.exchange import Attempt
from llmproxy.failures import Failure
from llmproxy.keyring import Keyring, KeyState
from llmproxy.plugin import Endpoint
from llmproxy.testing import make_exchange
from llmproxy.testing.exchanges import run_route
from llmproxy_balance.health import Health, State
from llmproxy_balance.healthsettings import HealthSettings
from llmproxy_balance.verdicts import PARKING, callers_own, hear_failure, hear_refusal

LIMITED = Failure("rate_limit", 429, 30.0)


def machine() -> Health:
    return Health(HealthSettings(), lambda: 0.0)


def attempted(keyring: Keyring | None = None) -> Attempt:
    attempt = Attempt(1, Endpoint("upstream"), 1.0)
    if keyring is not None:
        attempt.keys, attempt.key = keyring, 0
    return attempt


@pytest.mark.parametrize(
    ("failure", "state", "wait"),
    [
        (LIMITED, "open", 30.0),
        (Failure("rate_limit", 429), "open", 5.0),
        (Failure("rate_limit", 429, 0.0), "open", 5.0),
        (Failure("quota", 429), "open", 60.0),
        (Failure("authentication", 401), "open", 60.0),
        (Failure("overloaded", 529, 4.0), "open", 4.0),
        (Failure("server", 500), "closed", 0.0),
        (Failure("invalid_request", 400, 9.0), "closed", 0.0),
        (Failure("busy", 503, 9.0), "closed", 0.0),
    ],
)
def test_what_one_failure_does(failure: Failure, state: str, wait: float) -> None:
    health = machine()
    hear_failure(health, failure, 1.0, None)

    assert (health.state.word, health.wait(1.0)) == (state, wait)


def test_one_key_of_several_that_is_refused_leaves_the_place_alone_only_when_all_are() -> None:
    keyring, health = Keyring([KeyState(), KeyState()]), machine()
    exchange = make_exchange()

    keyring.refused(0, LIMITED, 1.0, 1.0)
    hear_refusal(health, exchange, attempted(keyring), LIMITED, 1.0)
    assert health.state is State.CLOSED
    keyring.refused(1, Failure("rate_limit", 429, 10.0), 1.0, 1.0)
    hear_refusal(health, exchange, attempted(keyring), LIMITED, 1.0)

    assert (health.state, health.wait(1.0), health.cause) == (State.OPEN, 10.0, "rate_limit")


def test_who_asks_for_what_no_key_may_leaves_the_place_to_the_others() -> None:
    keyring, health = Keyring([KeyState(), KeyState()]), machine()
    for key in (0, 1):
        keyring.refused(key, Failure("permission", 403), 1.0, 1.0)
    hear_refusal(health, make_exchange(), attempted(keyring), LIMITED, 1.0)

    assert health.state is State.CLOSED


@pytest.mark.parametrize(
    ("upstream", "own"),
    [({}, True), ({"api_key": "${env:KEY}"}, False), ({"headers": {"X-Api-Key": "k"}}, False)],
)
async def test_on_plain_http_a_refusal_is_the_callers_unless_the_gateway_has_a_key(
    upstream: dict[str, Any], own: bool
) -> None:
    config = {
        "upstreams": {"it": {"base_url": "http://127.0.0.1:9", "dialect": "http", "proxy": None, **upstream}}
    }
    exchange, health = make_exchange(), machine()
    await run_route(
        [], exchange, config=config | {"routes": [{"name": "r", "upstream": "it"}]}, environ={"KEY": "k"}
    )
    attempt = Attempt(1, Endpoint("it"), 1.0)

    assert callers_own(exchange, attempt.endpoint) is own
    for kind in sorted(PARKING):
        hear_refusal(health, exchange, attempt, Failure(kind, 401), 1.0)
    assert (health.state is State.CLOSED) is own
