"""How exchanges become records: an intent before each attempt leaves, a row when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from llmproxy.plugin import (
    RESERVATIONS,
    Attempt,
    Caller,
    Endpoint,
    Exchange,
    Reservation,
    Secondhand,
    SettlementState,
    StateKey,
    Tariff,
    UpstreamRequest,
    Usage,
    covers,
    price_usage,
    redact_text,
    secondhand,
    settlement_id,
)
from llmproxy_ledger.config import OnAbort
from llmproxy_ledger.entries import parts_of
from llmproxy_ledger.estimating import Seen, quick_limit
from llmproxy_ledger.pricing import NOTHING, UNKNOWN, Charge, Prices
from llmproxy_ledger.records import Begun, Record, Whose, Written
from llmproxy_ledger.settling import FREE, Finding, Sent, find

_LONGEST: Final = 200
#: Callers' places that are known at a time.
_KNOWN: Final = 4096
_NOBODY: Final = Endpoint("")


class Known(NamedTuple):
    """Whose calls of a caller to a place are; what it is of lives as long, so nothing else has its `id`."""

    caller: Caller
    endpoint: Endpoint
    whose: Whose


class Opened(NamedTuple):
    """An attempt that has an intent: the entry's name, the wire request, its price, what its row says in any case."""

    entry: str
    request: UpstreamRequest
    size: int
    most: int
    priced: Charge
    #: The most tokens of input and of output, where somebody reserved them.
    bound: tuple[int, int] | None
    id: str
    exchange: str
    whose: Whose


#: As `Opened` makes one, without a call of Python's.
_opened: Final[Callable[[tuple[Any, ...]], Opened]] = partial(tuple.__new__, Opened)

OPENED: Final[StateKey[dict[int, Opened]]] = StateKey("ledger.opened")
SEEN: Final[StateKey[Seen]] = StateKey("ledger.seen")


class Writes(Protocol):
    """What is needed of a journal."""

    def entry(self) -> str:
        """Return a name for a row."""

    def intend(self, record: Record) -> None:
        """Write at once."""

    def put(self, record: Record) -> None:
        """Write soon."""


class Accounting:
    """Writes the records of exchanges; `wrote` is told the state of each row and, unpriced, its upstream."""

    def __init__(
        self,
        journal: Writes,
        prices: Prices,
        tariff: Tariff,
        wall: Callable[[], float],
        max_output: int,
        wrote: Callable[[SettlementState, str], None],
    ) -> None:
        self._journal = journal
        self._prices = prices
        self._tariff = tariff
        self._wall = wall
        self._max_output = max_output
        self._wrote = wrote
        self._known: dict[tuple[int, int, str, str | None], Known] = {}

    def open(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Write down that an attempt is about to leave.

        Raises:
            GatewayError: what it costs is not known, and the policy is to refuse.
            JournalFault: it cannot be written down.
        """
        attempt = exchange.attempts[-1]
        number = request.attempt
        if attempt.number != number:
            attempt = exchange.attempts[number - 1]
        endpoint, model, body, state = attempt.endpoint, exchange.model, request.body, exchange.state
        priced = NOTHING if model is None else self._prices.of_attempt(exchange, attempt)
        if not priced.known:
            self._prices.check(endpoint, priced)
        # A later attempt's may be taken after this; all have one bound.
        held = state.get(RESERVATIONS)
        reserved = None if held is None else held.get(number) or held.get(1)
        bound, most, size = None, self._max_output, len(body) if isinstance(body, bytes) else 0
        if reserved is not None and reserved.input:
            bound = reserved.input, reserved.output
        elif model is not None and size:
            most = quick_limit(body, most)  # type: ignore[arg-type]  # what has a size is bytes
        entry, name, caller = self._journal.entry(), settlement_id(exchange, attempt), exchange.id
        whose = self._whose(exchange, endpoint)
        amounts = (0 if held is None else _money(held.get(number)), *(bound or (size, most)))
        self._journal.intend(Begun(entry, name, caller, self._wall(), whose, priced.version, *amounts))
        opened = _opened((entry, request, size, most, priced, bound, name, caller, whose))
        known = state.get(OPENED)
        if known is None:
            state[OPENED] = {number: opened}
        else:
            known[number] = opened

    def close(self, exchange: Exchange, attempt: Attempt, policy: OnAbort) -> None:
        """Write down what an attempt came to."""
        known = exchange.state.get(OPENED)
        opened = None if known is None else known.pop(attempt.number, None)
        if opened is None:
            self._close_unopened(exchange, attempt, policy)
            return
        usage, priced, sent = attempt.usage, opened.priced, opened.request.sent
        if (
            sent
            and usage is not None
            and attempt.complete
            and attempt.error is None
            and attempt.status == 200
        ):
            state: SettlementState = "exact"  # as `find` does
            basis, result, is_priced = "told", "ok", True
        else:
            state, usage, basis, result, is_priced = self._find(
                exchange, attempt, opened if sent else None, policy
            )
        version, cost = "", 0
        if state != "free":
            if priced.rates:
                told = self._cost(exchange, attempt, usage, priced) if is_priced else None
                # What is only in part known by its price is not known.
                priced, cost = (UNKNOWN, 0) if told is None else (priced, told)
            version = priced.version
        held = exchange.state.get(RESERVATIONS)
        reserved = 0 if held is None else _money(held.get(attempt.number))
        self._put(
            *(opened.entry, opened.id, opened.exchange, opened.whose, usage),
            (state, basis, cost, reserved, version, result),
        )
        self._wrote(state, attempt.endpoint.upstream if version and not priced.known else "")

    def _find(self, exchange: Exchange, attempt: Attempt, opened: Opened | None, policy: OnAbort) -> Finding:
        sent = None
        if opened is not None:
            sent = Sent(opened.size, opened.most, opened.priced.rates, opened.bound, self._max_output)
        return find(exchange, attempt, sent, exchange.state.get(SEEN), policy, self._tariff)

    def _cost(self, exchange: Exchange, attempt: Attempt, usage: Usage, priced: Charge) -> int | None:
        """Return what a usage costs; None where its price does not tell."""
        if priced.known and usage is attempt.usage:
            return self._tariff.cost(exchange, attempt)
        return price_usage(usage, priced.rates) if covers(priced.rates, usage) else None

    def _close_unopened(self, exchange: Exchange, attempt: Attempt, policy: OnAbort) -> None:
        """Write down an attempt that never left."""
        found = self._find(exchange, attempt, None, policy)
        held = exchange.state.get(RESERVATIONS)
        told = (found.state, found.basis, 0, 0 if held is None else _money(held.get(attempt.number)), "")
        whose = self._whose(exchange, attempt.endpoint)
        name = settlement_id(exchange, attempt)
        self._put(self._journal.entry(), name, exchange.id, whose, found.usage, (*told, found.result))
        self._wrote(found.state, "")

    def free(self, exchange: Exchange) -> None:
        """Write down an exchange that made no attempt."""
        found = secondhand(exchange)
        if found is not None:
            self._shared(exchange, found)
            return
        whose = self._whose(exchange, _NOBODY)
        told = ("free", "none", 0, 0, "", exchange.outcome.result)
        self._put(self._journal.entry(), settlement_id(exchange), exchange.id, whose, FREE, told)
        self._wrote("free", "")

    def _shared(self, exchange: Exchange, found: Secondhand) -> None:
        """Write down an answer that no call was made for, where the route charges for such ones."""
        priced = self._prices.of_part(exchange, found)
        if priced.rates and not covers(priced.rates, found.usage):
            priced = UNKNOWN
        cost = price_usage(found.usage, priced.rates) if priced.rates else 0
        whose = self._whose(exchange, found.endpoint)
        told = ("exact", found.source, cost, 0, priced.version, exchange.outcome.result)
        self._put(self._journal.entry(), settlement_id(exchange), exchange.id, whose, found.usage, told)
        self._wrote("exact", "" if priced.known else found.endpoint.upstream)

    def late(self, exchange: Exchange, found: Secondhand, number: int) -> None:
        """Write down what an earlier call came to, of which this one tells, as one more attempt: once a call."""
        priced = self._prices.of_part(exchange, found)
        cost = price_usage(found.usage, priced.rates) if priced.rates else 0
        place = found.endpoint
        whose = self._whose(exchange, place)
        whose = whose._replace(model=whose.model or whose.upstream_model)
        # Whoever is told the same writes the same name, of which the books keep the first.
        named = "\0".join((whose.tenant, place.upstream, found.name, place.model or ""))
        entry = f"b{sha256(named.encode()).hexdigest()[:24]}"
        attempt = Attempt(number, place, 0.0)
        held = exchange.state.get(RESERVATIONS)
        reserved = 0 if held is None else _money(held.get(number))
        told = ("exact", found.source, cost, reserved, priced.version, exchange.outcome.result)
        self._put(entry, settlement_id(exchange, attempt), exchange.id, whose, found.usage, told)
        self._wrote("exact", "" if priced.known else place.upstream)

    def _put(
        self, entry: str, name: str, exchange: str, whose: Whose, usage: Usage, told: tuple[str | int, ...]
    ) -> None:
        """Write a row: as `COLUMNS` says."""
        parts = "" if usage.parts is None else parts_of(usage)
        row = (
            *(entry, name, exchange, self._wall(), *whose),
            *(usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning, *told),
            *(usage.units, parts),
        )
        self._journal.put(Written(row))

    def _whose(self, exchange: Exchange, endpoint: Endpoint) -> Whose:
        """Return what the rows of a caller's calls to a place have in common."""
        caller, route, asked = exchange.caller, exchange.route.name, exchange.model
        key = (id(caller), id(endpoint), route, asked)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            known = self._known[key] = Known(caller, endpoint, whose(caller, endpoint, route, asked))
        return known.whose


def whose(caller: Caller, endpoint: Endpoint, route: str, asked: str | None) -> Whose:
    """Say whose a call is and where it goes."""
    labels, model = dict(caller.labels), redact_text(asked or "")
    upstream_model = (endpoint.model or model)[:_LONGEST] if endpoint.upstream else ""
    return Whose(
        tenant=caller.tenant,
        key=caller.key,
        org=labels.get("org", ""),
        team=labels.get("team", ""),
        user=labels.get("user", ""),
        route=route,
        model=model[:_LONGEST],
        upstream=endpoint.upstream,
        upstream_model=upstream_model,
    )


def is_under_way(exchange: Exchange) -> bool:
    """Whether any of an attempt may have left that has not ended."""
    return any(opened.request.sent for opened in (exchange.state.get(OPENED) or {}).values())


def _money(reservation: Reservation | None) -> int:
    return 0 if reservation is None else reservation.money
