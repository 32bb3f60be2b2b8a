"""Several keys of one upstream: whose turn it is, and which rest because a provider refused them. Pure.

Keys are numbers here, in the order of the configuration; what they are is known to the upstream's headers alone.

    key           a refusal                          its time is over          an answer
    well          resting, 1st strike                -                         well
    resting       (nothing, one of the same time)    on trial by one attempt   well
    on trial      resting, one strike more, longer   on trial by another       well

A keyring never refuses: where all keys rest, the one whose rest ends first is used, and the caller is told what the
provider says to that. So a key that works again is found even if every other is dead, and nobody can have all keys put
aside by asking for what they may not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from llmproxy.echoes import Says
    from llmproxy.exchange import Attempt
    from llmproxy.failures import Failure
    from llmproxy.messages import Reply

#: Seconds that a key rests after its first refusal of a kind, and the most that doubling makes of them. A permission may
#: be lacking for one model alone; a rate limit that names no time is mostly a matter of seconds.
RESTS: Final = {
    "authentication": (60.0, 3600.0),
    "quota": (300.0, 3600.0),
    "permission": (10.0, 600.0),
    "rate_limit": (1.0, 60.0),
}
#: Seconds that a provider may ask for.
_LONGEST: Final = 3600.0
#: Seconds that a trial has: an attempt that was given up tells nothing.
_TRIAL: Final = 10.0
#: Doublings after which nothing grows any more.
_MOST_STRIKES: Final = 16

#: Told of a key that rests from now on: its number, the refusal's kind, the seconds.
Rested = Callable[[int, str, float], None]


class KeyState:
    """How one key fares; outlives the generation that used it first."""

    __slots__ = ("__weakref__", "lacking", "since", "strikes", "until")

    def __init__(self) -> None:
        self.strikes = 0
        self.since = 0.0
        self.until = 0.0
        #: Whether it rests for want of a permission, which it may lack for one model alone.
        self.lacking = False


class KeyStates:
    """How all keys of a process fare, by a keyed digest of each; forgotten with the last keyring that has the key."""

    def __init__(self) -> None:
        self._salt = token_bytes(32)
        self._known: WeakValueDictionary[bytes, KeyState] = WeakValueDictionary()

    def of(self, upstream: str, key: str) -> KeyState:
        """Return the state of an upstream's key; `upstream` is its address."""
        digest = blake2b(f"{upstream}\0{key}".encode(), key=self._salt, digest_size=16).digest()
        state = self._known.get(digest)
        if state is None:
            state = self._known[digest] = KeyState()
        return state


class Keyring:
    """The keys of one upstream, taken in turn; times are seconds on the gateway's clock."""

    def __init__(self, states: Sequence[KeyState], rested: Rested | None = None) -> None:
        self._states = tuple(states)
        self._rested = rested
        self._turn = -1

    def __len__(self) -> int:
        return len(self._states)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self)}>"

    def take(self, now: float) -> int:
        """Return the number of the key that the next attempt shall use."""
        turn = self._turn + 1
        self._turn = turn = turn if turn < len(self._states) else 0
        return turn if not self._states[turn].strikes else self._choose(turn, now)

    def _choose(self, turn: int, now: float) -> int:
        states = self._states
        order: list[int] = [*range(turn, len(states)), *range(turn)]
        for number in order:
            state = states[number]
            if not state.strikes:
                break
            if state.until <= now:
                state.until = now + _TRIAL  # nobody else tries it meanwhile
                break
        else:
            number = min(order, key=lambda each: states[each].until)
        self._turn = number
        return number

    def refused(self, number: int, failure: Failure, started: float, now: float) -> None:
        """Let a key rest that the failure of an attempt, which began at `started`, is about.

        Telling it twice of one attempt does no harm; what began before the key was put aside tells nothing new.
        """
        state = self._states[number]
        anew = not state.strikes or started > state.since
        if anew:
            state.strikes = min(state.strikes + 1, _MOST_STRIKES)
            state.since = now
        if anew or failure.kind != "permission":
            state.lacking = failure.kind == "permission"
        rest = _rest(failure, state.strikes)
        state.until = now + rest if anew else max(state.until, now + rest)
        if anew and self._rested is not None:
            self._rested(number, failure.kind, rest)

    def served(self, number: int, started: float) -> None:
        """Take a key for well again: a provider answered to it what it tells no stranger."""
        state = self._states[number]
        if state.strikes and started > state.since:
            state.strikes = 0

    def heard(self, attempt: Attempt, reply: Reply, now: float, said: Says | None = None) -> None:
        """Learn from the head of an attempt's reply."""
        if reply.status >= 400:
            self.judge(attempt, reply, now, said)
        elif self._states[attempt.key].strikes:
            self.served(attempt.key, attempt.started)

    def judge(
        self, attempt: Attempt, found: Reply | BaseException, now: float, said: Says | None = None
    ) -> None:
        """Let an attempt's key rest if what it failed with is about the key, and is not what the request `said`."""
        from llmproxy.failures import failure_of  # noqa: PLC0415  # it knows attempts, which know their keys

        failure = failure_of(found, said=said)
        if failure is not None and failure.kind in RESTS:
            self.refused(attempt.key, failure, attempt.started, now)

    def spare(self, number: int, now: float) -> bool:
        """Whether another key than this one would be worth a try."""
        others = (state for each, state in enumerate(self._states) if each != number)
        return any(not state.strikes or state.until <= now for state in others)

    def away(self, now: float) -> float:
        """Return the seconds until one of the keys may be used at all; one that lacks a permission may, for all else."""
        return min(
            max(0.0, each.until - now) if each.strikes and not each.lacking else 0.0 for each in self._states
        )

    def resting(self, now: float) -> list[float]:
        """Return for each key the seconds that it still rests; 0 for one that may be taken."""
        return [max(0.0, each.until - now) if each.strikes else 0.0 for each in self._states]


def _rest(failure: Failure, strikes: int) -> float:
    first, most = RESTS[failure.kind]
    grown = min(first * (1 << strikes - 1), most)
    if failure.retry_after is None:
        return grown
    told = min(failure.retry_after, _LONGEST)
    return told if failure.kind == "rate_limit" else max(told, grown)


def another_key(attempt: Attempt, failure: Failure, now: float) -> bool:
    """Whether another key is worth a try at the same upstream: this one was at fault, and another does not rest."""
    keys = attempt.keys
    if keys is None or failure.kind not in RESTS:
        return False
    keys.refused(attempt.key, failure, attempt.started, now)
    return keys.spare(attempt.key, now)
