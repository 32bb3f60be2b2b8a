"""How exchanges become records: an intent before each attempt leaves, a row when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from llmproxy.plugin import (
    RESERVATIONS,
    Attempt,
    Body,
    Caller,
    Endpoint,
    Exchange,
    Reservation,
    Secondhand,
    Settlement,
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
from llmproxy_ledger.estimating import Seen, quick_limit
from llmproxy_ledger.pricing import NOTHING, UNKNOWN, Charge, Prices
from llmproxy_ledger.records import Intent, Record, Row
from llmproxy_ledger.settling import Sent, find

_LONGEST: Final = 200
#: Callers' places that are known at a time.
_KNOWN: Final = 4096
_NOBODY: Final = Endpoint("")


class Whose(NamedTuple):
    """A row that says whose a call is and where it goes; what it is of lives as long, so nothing else has its `id`."""

    caller: Caller
    endpoint: Endpoint
    row: Settlement


class Opened(NamedTuple):
    """An attempt that has an intent: the entry's name, the wire request, its price."""

    entry: str
    request: UpstreamRequest
    size: int
    most: int
    priced: Charge
    #: The most tokens of input and of output, where somebody reserved them.
    bound: tuple[int, int] | None
    row: Settlement


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
        self._known: dict[tuple[int, int, str, str | None], Whose] = {}

    def open(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Write down that an attempt is about to leave.

        Raises:
            GatewayError: what it costs is not known, and the policy is to refuse.
            JournalFault: it cannot be written down.
        """
        attempt = exchange.attempts[-1]
        if attempt.number != request.attempt:
            attempt = exchange.attempts[request.attempt - 1]
        endpoint, body = attempt.endpoint, request.body
        priced = self._prices.of(exchange, endpoint) if exchange.model is not None else NOTHING
        if not priced.known:
            self._prices.check(endpoint, priced)
        data = b"" if isinstance(body, Body) else body
        most = self._max_output if exchange.model is None else quick_limit(data, self._max_output)
        # A later attempt's may be taken after this; all have one bound.
        held = exchange.state.get(RESERVATIONS)
        reserved = None if held is None else held.get(attempt.number) or held.get(1)
        bound = (reserved.input, reserved.output) if reserved is not None and reserved.input else None
        row = self._row(exchange, attempt, endpoint, priced.version)
        opened = Opened(self._journal.entry(), request, len(data), most, priced, bound, row)
        self._journal.intend(Intent(opened.entry, row, *(bound or (opened.size, most))))
        known = exchange.state.get(OPENED)
        if known is None:
            exchange.state[OPENED] = {attempt.number: opened}
        else:
            known[attempt.number] = opened

    def close(self, exchange: Exchange, attempt: Attempt, policy: OnAbort) -> None:
        """Write down what an attempt came to."""
        state = exchange.state
        known = state.get(OPENED)
        opened = None if known is None else known.pop(attempt.number, None)
        entry = self._journal.entry() if opened is None else opened.entry
        sent, priced = None, NOTHING
        if opened is not None and opened.request.sent:
            priced = opened.priced
            sent = Sent(opened.size, opened.most, priced.rates, opened.bound, self._max_output)
        found = find(exchange, attempt, sent, state.get(SEEN), policy, self._tariff)
        if (
            priced.rates
            and found.state != "free"
            and not (found.priced and covers(priced.rates, found.usage))
        ):
            priced = UNKNOWN
        version = "" if found.state == "free" else priced.version
        cost = price_usage(found.usage, priced.rates) if version and priced.rates else 0
        told = found.usage, found.state, cost, found.result
        if opened is None:
            row = self._row(exchange, attempt, attempt.endpoint, version, *told)
        else:
            row = self._ended(opened.row, _reserved(exchange, attempt), version, *told)
        self._journal.put(Row(entry, row, found.basis))
        self._wrote(found.state, attempt.endpoint.upstream if version and not priced.known else "")

    def free(self, exchange: Exchange) -> None:
        """Write down an exchange that made no attempt."""
        found = secondhand(exchange)
        if found is not None:
            self._shared(exchange, found)
            return
        row = self._row(exchange, None, _NOBODY, "", state="free", result=exchange.outcome.result)
        self._journal.put(Row(self._journal.entry(), row, "none"))
        self._wrote("free", "")

    def _shared(self, exchange: Exchange, found: Secondhand) -> None:
        """Write down an answer that no call was made for, where the route charges for such ones."""
        priced = self._prices.of_part(exchange, found)
        if priced.rates and not covers(priced.rates, found.usage):
            priced = UNKNOWN
        cost = price_usage(found.usage, priced.rates) if priced.rates else 0
        result = exchange.outcome.result
        row = self._row(exchange, None, found.endpoint, priced.version, found.usage, "exact", cost, result)
        self._journal.put(Row(self._journal.entry(), row, found.source))
        self._wrote("exact", "" if priced.known else found.endpoint.upstream)

    def late(self, exchange: Exchange, found: Secondhand, number: int) -> None:
        """Write down what an earlier call came to, of which this one tells, as one more attempt: once a call."""
        priced = self._prices.of_part(exchange, found)
        cost = price_usage(found.usage, priced.rates) if priced.rates else 0
        place, result = found.endpoint, exchange.outcome.result
        told = self._row(
            exchange, Attempt(number, place, 0.0), place, priced.version, found.usage, "exact", cost, result
        )
        row = replace(told, model=told.model or told.upstream_model)
        # Whoever is told the same writes the same name, of which the books keep the first.
        named = "\0".join((row.tenant, place.upstream, found.name, place.model or ""))
        self._journal.put(Row(f"b{sha256(named.encode()).hexdigest()[:24]}", row, found.source))
        self._wrote("exact", "" if priced.known else place.upstream)

    def _ended(
        self,
        opened: Settlement,
        reserved: int,
        prices: str,
        usage: Usage,
        state: SettlementState,
        cost: int,
        result: str,
    ) -> Settlement:
        """Return the row of an attempt that had an intent: whose it is and where it went stands there."""
        return replace(
            opened,
            at=self._wall(),
            usage=usage,
            state=state,
            cost=cost,
            reserved=reserved,
            prices=prices,
            result=result,
        )

    def _row(  # the parts of one row
        self,
        exchange: Exchange,
        attempt: Attempt | None,
        endpoint: Endpoint,
        prices: str,
        usage: Usage = Usage(),  # noqa: B008  # frozen
        state: SettlementState = "unknown",
        cost: int = 0,
        result: str = "",
    ) -> Settlement:
        caller, route, asked = exchange.caller, exchange.route.name, exchange.model
        known = self._known.get((id(caller), id(endpoint), route, asked))
        return replace(
            (known or self._know(caller, endpoint, route, asked)).row,
            id=settlement_id(exchange, attempt),
            exchange=exchange.id,
            at=self._wall(),
            usage=usage,
            state=state,
            cost=cost,
            reserved=0 if attempt is None else _reserved(exchange, attempt),
            prices=prices,
            result=result,
        )

    def _know(self, caller: Caller, endpoint: Endpoint, route: str, asked: str | None) -> Whose:
        """Make what the rows of a caller's calls to a place have in common."""
        if len(self._known) >= _KNOWN:
            self._known.clear()
        known = Whose(caller, endpoint, whose(caller, endpoint, route, asked))
        self._known[id(caller), id(endpoint), route, asked] = known
        return known


def whose(caller: Caller, endpoint: Endpoint, route: str, asked: str | None) -> Settlement:
    """Return a row that says whose a call is and where it goes, and nothing else yet."""
    labels, model = dict(caller.labels), redact_text(asked or "")
    return Settlement(
        id="",
        exchange="",
        at=0.0,
        tenant=caller.tenant,
        key=caller.key,
        org=labels.get("org", ""),
        team=labels.get("team", ""),
        user=labels.get("user", ""),
        route=route,
        model=model[:_LONGEST],
        upstream=endpoint.upstream,
        upstream_model=(endpoint.model or model)[:_LONGEST] if endpoint.upstream else "",
    )


def is_under_way(exchange: Exchange) -> bool:
    """Whether any of an attempt may have left that has not ended."""
    return any(opened.request.sent for opened in (exchange.state.get(OPENED) or {}).values())


def _reservation(exchange: Exchange, number: int) -> Reservation | None:
    held = exchange.state.get(RESERVATIONS)
    return None if held is None else held.get(number)


def _reserved(exchange: Exchange, attempt: Attempt) -> int:
    reservation = _reservation(exchange, attempt.number)
    return 0 if reservation is None else reservation.money
