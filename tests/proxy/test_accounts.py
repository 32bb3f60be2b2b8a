import msgspec
import pytest

from llmproxy.accounts import (
    AccountScope,
    Reservation,
    Settlement,
    Taken,
    scopes_of,
    settlement_id,
)
from llmproxy.exchange import Attempt, Caller, Endpoint
from llmproxy.testing import make_exchange


def test_a_call_is_on_the_accounts_of_all_that_it_belongs_to() -> None:
    caller = Caller("acme", "k1", (("team", "search"), ("org", "acme-eu"), ("user", "ada"), ("plan", "gold")))
    exchange = make_exchange(caller=caller, model="fast", route="chat")

    assert scopes_of(exchange) == (
        AccountScope("tenant", "acme"),
        AccountScope("key", "k1"),
        AccountScope("org", "acme-eu"),
        AccountScope("team", "search"),
        AccountScope("user", "ada"),
        AccountScope("model", "fast"),
        AccountScope("route", "chat"),
    )


def test_what_is_not_known_is_no_account() -> None:
    exchange = make_exchange(caller=Caller("acme", labels=(("user", ""),)))

    assert scopes_of(exchange) == (AccountScope("tenant", "acme"), AccountScope("route", "test"))


def test_each_attempt_has_a_row_and_an_exchange_without_any_has_number_0() -> None:
    exchange = make_exchange()

    assert settlement_id(exchange) == f"{exchange.serial}/0"
    assert settlement_id(exchange, Attempt(2, Endpoint("main"), 0.0)) == f"{exchange.serial}/2"


def test_exchanges_that_a_caller_calls_the_same_have_rows_of_their_own() -> None:
    assert settlement_id(make_exchange(name="x1")) != settlement_id(make_exchange(name="x1"))


def test_a_reservation_holds_the_whole_call_in_each_limit() -> None:
    tenant, key = AccountScope("tenant", "acme"), AccountScope("key", "k1")
    taken = (
        Taken(tenant, "money", "budget", "2026-11", 700),
        Taken(key, "money", "daily", "2026-11-22", 700),
        Taken(key, "tokens", "tpm", "2026-11-22T10:00", 9000),
        Taken(key, "money", "about", "2026-11-22", 800, likely=True),
    )

    assert Reservation("r1", taken).money == 700
    assert Reservation("r2").money == 0


def test_a_settlement_is_one_row_that_nobody_changes() -> None:
    row = Settlement(id="x/1", exchange="x", at=0.0, tenant="acme")

    assert msgspec.json.decode(msgspec.json.encode(row), type=Settlement) == row
    with pytest.raises(AttributeError):
        row.cost = 1  # type: ignore[misc]
