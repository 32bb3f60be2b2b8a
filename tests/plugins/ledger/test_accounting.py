"""Rows as they are made; the recorded answers of all providers, whose usage must be told to the token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import records

from llmproxy.plugin import (
    RESERVATIONS,
    AccountScope,
    Attempt,
    Caller,
    Endpoint,
    Headers,
    PriceConfig,
    Reservation,
    Secondhand,
    Taken,
    Tariff,
    UpstreamRequest,
    Usage,
)
from llmproxy.runtime import Clock
from llmproxy.testing import FakeUpstream, make_exchange, running_route
from llmproxy_ledger import LedgerPlugin
from llmproxy_ledger.accounting import OPENED, Accounting, whose
from llmproxy_ledger.config import LedgerConfig
from llmproxy_ledger.entries import row_of
from llmproxy_ledger.pricing import Prices
from llmproxy_ledger.records import Begun, Intent, Record, Row, Written

from .stage import asked, rows

PLACE = Endpoint("upstream", "gpt")
TOLD = {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75, "reasoning": 15}
PRICE = PriceConfig(**TOLD)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def entry(self) -> str:
        return f"entry-{len(self.records)}"

    def intend(self, record: Record) -> None:
        assert isinstance(record, Begun)
        self.records.append(record.intent)

    def put(self, record: Record) -> None:
        assert isinstance(record, Written)
        self.records.append(row_of(record.values))

    @property
    def last(self) -> Row:
        assert isinstance(self.records[-1], Row)
        return self.records[-1]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def accounting(kept: Kept, told: list[tuple[str, str]]) -> Accounting:
    tariff = Tariff({}, Clock(), {"upstream/*": PRICE})
    prices = Prices(LedgerConfig(directory="d"), tariff, lambda *_: None)
    return Accounting(kept, prices, tariff, lambda: 5.0, 1000, lambda *what: told.append(what))


def sent(number: int, body: bytes = b"{}") -> UpstreamRequest:
    request = UpstreamRequest("POST", "/chat", Headers(), body)
    request.attempt, request.sent = number, True
    return request


def test_an_intent_becomes_a_row_of_the_same_name(accounting, kept, told):
    exchange = asked(caller=Caller("shop", "web"))
    exchange.model = "gpt"
    attempt = Attempt(1, PLACE, 0.0)
    exchange.attempts.append(attempt)
    accounting.open(exchange, sent(1, b'{"max_tokens":9}'))
    attempt.status, attempt.complete, attempt.usage = 200, True, Usage(1, 2, 3, 4, 5)
    accounting.close(exchange, attempt, "estimate")

    intent, row = kept.records
    assert isinstance(intent, Intent)
    assert (intent.entry, intent.size, intent.most, intent.row.state) == (kept.last.entry, 16, 9, "unknown")
    assert (row.row.tenant, row.row.key, row.row.at, row.row.usage) == ("shop", "web", 5.0, attempt.usage)
    assert (row.row.exchange, row.row.upstream_model) == ("exchange-1", "gpt")
    assert row.row.prices == intent.row.prices
    assert row.row.cost == cost(attempt.usage)
    assert told == [("exact", "")]
    assert exchange.state[OPENED] == {}


def test_attempts_that_run_at_once_keep_their_own_intents(accounting, kept):
    exchange = asked()
    exchange.model = "gpt"
    exchange.attempts += [Attempt(1, PLACE, 0.0), Attempt(2, Endpoint("upstream", "other"), 0.0)]
    accounting.open(exchange, sent(2))
    accounting.open(exchange, sent(1))
    for attempt in exchange.attempts:
        attempt.status, attempt.complete, attempt.usage = 200, True, Usage(attempt.number)
        accounting.close(exchange, attempt, "estimate")

    two, one = (record for record in kept.records if isinstance(record, Intent))
    rows = {record.entry: record.row for record in kept.records if isinstance(record, Row)}
    assert (one.row.upstream_model, two.row.upstream_model) == ("gpt", "other")
    assert (rows[one.entry].usage.input, rows[two.entry].usage.input) == (1, 2)


def test_what_was_reserved_stands_with_what_it_cost(accounting, kept):
    exchange = asked()
    exchange.attempts.append(Attempt(1, PLACE, 0.0))
    taken = Taken(AccountScope("tenant", "t"), "money", "month", "", 77)
    exchange.state[RESERVATIONS] = {1: Reservation("r", (taken,))}
    accounting.close(exchange, exchange.attempts[0], "estimate")

    assert (kept.last.row.reserved, kept.last.row.state) == (77, "free")


def test_attempts_that_run_at_once_tell_each_what_was_reserved_for_it(accounting, kept):
    exchange = asked()
    exchange.model = "gpt"
    scope, held = AccountScope("tenant", "t"), {}
    for number, amount in ((1, 77), (2, 5)):
        exchange.attempts.append(Attempt(number, PLACE, 0.0))
        held[number] = Reservation("r", (Taken(scope, "money", "month", "", amount),))
        exchange.state[RESERVATIONS] = held
        accounting.open(exchange, sent(number))
    for attempt in exchange.attempts:
        accounting.close(exchange, attempt, "estimate")

    assert [(type(record), record.row.reserved) for record in kept.records] == [
        (Intent, 77),
        (Intent, 5),
        (Row, 77),
        (Row, 5),
    ]


def test_what_is_lost_or_charged_at_its_ceiling_comes_to_what_was_reserved(accounting, kept):
    exchange = asked()
    exchange.model = "gpt"
    attempt = Attempt(1, PLACE, 0.0, error=ConnectionAbortedError())
    exchange.attempts.append(attempt)
    exchange.state[RESERVATIONS] = {1: Reservation("r", input=1200, output=80)}
    accounting.open(exchange, sent(1, b'{"max_tokens":9}'))
    accounting.close(exchange, attempt, "ceiling")

    assert (kept.records[0].size, kept.records[0].most) == (1200, 80)
    assert kept.last.row.usage.total == 1280


def test_labels_of_the_caller_have_columns(accounting, kept):
    exchange = asked(caller=Caller("shop", "", (("team", "search"), ("colour", "red"))))
    accounting.free(exchange)

    assert (kept.last.row.team, kept.last.row.org, kept.last.row.exchange) == ("search", "", "exchange-1")


def test_what_a_caller_makes_long_is_cut(accounting, kept):
    exchange = asked()
    exchange.model = "x" * 5000
    accounting.free(exchange)

    assert len(kept.last.row.model) == 200


def cost(usage: Usage) -> int:
    """Price a usage by hand, in microdollars: dollars for a million tokens are microdollars a token."""
    dollars = [
        (usage.input, PRICE.input),
        (usage.cache_read, PRICE.cache_read),
        (usage.cache_write, PRICE.cache_write),
        (usage.output, PRICE.output),
        (usage.reasoning, PRICE.reasoning),
    ]
    return round(sum((Decimal(tokens) * Decimal(str(each)) for tokens, each in dollars), Decimal(0)))


# What providers answered, as it was recorded.

PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
ASKED = {"max_tokens": 9, "messages": [], "input": "x"}
REACHED = {"api_key": "${env:KEY}", "proxy": None}
FAMILIES = {
    "openai.chat": ("openai", "/v1/chat/completions"),
    "openai.responses": ("openai", "/v1/responses"),
    "openai.embeddings": ("openai", "/v1/embeddings"),
    "anthropic.messages": ("anthropic", "/v1/messages"),
    "gemini.generate": ("gemini", "/v1beta/models/m:generateContent"),
    "gemini.stream": ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse"),
}


def recorded(dialect: str) -> Iterator[dict[str, Any]]:
    """Give the recorded good answers of a dialect, whole and streamed."""
    for record in records():
        response = record["response"]
        told = isinstance(response.get("body"), dict) or response.get("events")
        if record["dialect"] == dialect and response["status"] < 400 and told:
            yield record


def script(upstream: FakeUpstream, response: dict[str, Any]) -> None:
    upstream._answers.clear()
    if "events" in response:
        upstream.stream([event.encode() for event in response["events"]])
    else:
        upstream.reply(json=response["body"])


def totals(dialect: str, response: dict[str, Any], judge: Any) -> set[int]:
    """Return how many tokens the provider told in all: as a total of its own, or as the sum of what it told."""
    data = orjson.dumps(response.get("body")) + "".join(response.get("events", ())).encode()
    own = {int(number) for number in re.findall(rb'"total_?[tT]okens(?:Count)?"\s*:\s*(\d+)', data)}
    if dialect == "openai.embeddings":
        return own
    usage = judge.parse_response(dialect, response).usage
    if usage.get("input") is None or usage.get("output") is None:
        return set()
    return {usage["input"] + usage["output"], *own}


@pytest.mark.shared
@pytest.mark.parametrize("dialect", FAMILIES)
async def test_every_recorded_answer_is_charged_as_its_provider_told(
    dialect: str, tmp_path: Path, judge: Any
) -> None:
    face, path = FAMILIES[dialect]
    told: dict[str, set[int]] = {}
    async with FakeUpstream() as upstream:
        table = {"use": LedgerPlugin, "directory": str(tmp_path)}
        config = {
            "plugins": {face: {"use": face}},
            "prices": {"told/*": TOLD},
            "upstreams": {"told": {"provider": PROVIDERS[face], "base_url": upstream.url, **REACHED}},
            "routes": [{"name": "told", "upstream": "told", "plugins": [{"ledger": {}}]}],
        }
        async with running_route({"ledger": table}, config=config, environ={"KEY": "k"}) as serving:
            for record in recorded(dialect):
                name, response = record["id"], record["response"]
                if tokens := totals(dialect, response, judge):
                    script(upstream, response)
                    asking = {"model": "m", "stream": "events" in response, **ASKED}
                    await serving.serve(make_exchange("POST", path, body=asking, name=name))
                    told[name] = tokens
    found = {row["exchange"]: row for row in rows(tmp_path)}
    for name, tokens in told.items():
        row = found[name]
        if row["result"] == "upstream_cut":  # some were recorded so
            continue
        usage = Usage(*(row[bucket] for bucket in Usage.__struct_fields__))

        assert (row["state"], usage.total in tokens, row["cost"]) == ("exact", True, cost(usage)), name
    assert len(told) > 20


def test_rows_say_whose_they_are_and_where_they_went() -> None:
    caller = Caller("acme", "key-1", labels=(("team", "search"), ("cost", "x")))
    row = whose(caller, Endpoint("upstream"), "route", "gpt")

    assert (row.tenant, row.key, row.org, row.team, row.user) == ("acme", "key-1", "", "search", "")
    assert (row.route, row.model, row.upstream, row.upstream_model) == ("route", "gpt", "upstream", "gpt")
    assert whose(caller, Endpoint(""), "route", None).upstream_model == ""


def test_each_caller_has_rows_of_its_own(accounting, kept):
    for number in range(5000):
        accounting.free(make_exchange(caller=Caller(f"tenant-{number}", f"key-{number % 7}")))

    found = [(record.row.tenant, record.row.key) for record in kept.records if isinstance(record, Row)]
    assert found == [(f"tenant-{number}", f"key-{number % 7}") for number in range(5000)]
    assert len(accounting._known) <= 4096


def test_what_an_earlier_call_used_is_one_more_row_that_is_written_once(accounting, kept):
    found = Secondhand("belated", Endpoint("upstream", "gpt"), Usage(100, output=10), 500_000, "batch_1")
    for _ in range(2):
        exchange = asked(caller=Caller("shop", "web"))
        exchange.attempts.append(Attempt(1, PLACE, 0.0))
        accounting.late(exchange, found, 2)

    one, two = (record for record in kept.records if isinstance(record, Row))
    assert one.entry == two.entry
    assert (one.row.id, one.basis, one.row.state) == (f"{exchange_of(one)}/2", "belated", "exact")
    assert (one.row.model, one.row.upstream_model, one.row.usage) == ("gpt", "gpt", found.usage)
    assert "*0.5" in one.row.prices
    assert one.row.cost == round(cost(found.usage) / 2)


def exchange_of(record):
    return record.row.id.rpartition("/")[0]
