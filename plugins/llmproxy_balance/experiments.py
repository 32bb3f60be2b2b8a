"""A/B tests and canaries: who asks decides which place answers, the same one each time.

Each target of the pool is an arm, its weight its share. Every subject (a session, a user, a key, a tenant) has a number
for each arm, made of the experiment's salt and both names; the best one for its weight wins, as in weighted rendezvous
hashing. So shares need no table, all workers and instances agree without talking, and where a weight grows only those
change their arm who come to the one that grew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from math import log
from random import Random
from typing import Annotated, Final

import msgspec

from llmproxy.plugin import ANONYMOUS, ARM, Arm, ConfigError, Exchange, Place, Pool
from llmproxy_balance.facts import Facts
from llmproxy_balance.reading import request_of

#: What stands before a header's name.
_HEADER: Final = "header:"
_WHOLE: Final = float(1 << 64)
_LAST: Final = float("inf")


class ExperimentOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is a subject, and which drawing this is.

    `by` names what tells subjects apart, the first that a request has: `header:NAME`, `user` (as the request's body
    says), `key` (of the caller), `tenant`, `client` (the address). A request with none of them is drawn by chance.
    `salt` draws anew; without one it is the pool's name. `fallback` says whether other arms may stand in for one that
    fails.
    """

    by: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = (
        "header:x-session-id",
        "user",
        "key",
        "tenant",
    )
    salt: str | None = None
    fallback: bool = True

    def __post_init__(self) -> None:
        for index, name in enumerate(self.by):
            if name not in _SUBJECTS and not (name.startswith(_HEADER) and len(name) > len(_HEADER)):
                known = ", ".join(sorted(_SUBJECTS))
                raise ConfigError(f"by[{index}]", f"{name!r} is none of {known}, header:NAME")


def _user(exchange: Exchange) -> str:
    return getattr(request_of(exchange), "user", "")


def _tenant(exchange: Exchange) -> str:
    return "" if exchange.caller is ANONYMOUS else exchange.caller.tenant


_SUBJECTS: Final[dict[str, Callable[[Exchange], str]]] = {
    "user": _user,
    "key": lambda exchange: exchange.caller.key,
    "tenant": _tenant,
    "client": lambda exchange: exchange.request.client,
}


class Experiment:
    """Orders arms by subject: its own one, then the one that it would have without that, and so on."""

    def __init__(self, pool: Pool, options: ExperimentOptions, rng: Random, facts: Facts) -> None:
        self._pool = pool
        self._by = [_reader(name) for name in options.by]
        self._salt = pool.name if options.salt is None else options.salt
        self._fallback = options.fallback
        self._rng = rng
        self._facts = facts
        #: The places that arms were last made of, and these.
        self._drawn: tuple[Sequence[Place], dict[str, float]] = ((), {})

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return the arms, the subject's own one first, and put that one down in `exchange.state[ARM]`.

        Its own arm is drawn from all places of the pool: one that is away for a while keeps its subjects, and `fallback`
        decides whether others answer them meanwhile.
        """
        arms = self._arms()
        if not arms:
            return places
        subject = self._subject(exchange)
        numbers = self._numbers(subject, arms)
        own = min(arms, key=numbers.__getitem__)
        exchange.state[ARM] = Arm(self._pool.name, own, subject is not None)
        self._facts.count("arms", self._pool.name, own)
        if not self._fallback:
            return [place for place in places if place.label == own]
        return sorted(places, key=lambda place: numbers.get(place.label, _LAST))

    def _arms(self) -> dict[str, float]:
        """Return the arms' weights: members of one target are one arm, and who waits for failures is none."""
        places = self._pool.places
        if self._drawn[0] is not places:
            weights = {place.label: place.settings.weight for place in places if not place.settings.after}
            self._drawn = (places, weights)
        return self._drawn[1]

    def _subject(self, exchange: Exchange) -> str | None:
        return next((subject for read in self._by if (subject := read(exchange))), None)

    def _numbers(self, subject: str | None, arms: Mapping[str, float]) -> dict[str, float]:
        """Return each arm's number, of which the least wins: exponentially distributed, faster by its weight."""
        if subject is None:
            return {arm: _number(1.0 - self._rng.random(), weight) for arm, weight in arms.items()}
        start = blake2b(f"{self._salt}\0{subject}\0".encode("utf-8", "surrogatepass"), digest_size=8)
        numbers = {}
        for arm, weight in arms.items():
            drawn = start.copy()
            drawn.update(arm.encode())
            # Never 0, of which there is no logarithm.
            share = (int.from_bytes(drawn.digest(), "little") + 1) / (_WHOLE + 1)
            numbers[arm] = _number(share, weight)
        return numbers


def _number(share: float, weight: float) -> float:
    return -log(share) / weight if weight else _LAST


def _reader(name: str) -> Callable[[Exchange], str]:
    if not name.startswith(_HEADER):
        return _SUBJECTS[name]
    field = name.removeprefix(_HEADER).lower().encode("latin-1", "replace")
    return lambda exchange: exchange.request.headers.index.get(field, b"").decode("latin-1")
