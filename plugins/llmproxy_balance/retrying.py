"""What follows from a failure: whether another try makes sense, where, and when. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import KINDS, Body, ConfigError, Exchange, Failure, TargetConfig

if TYPE_CHECKING:
    from llmproxy_balance.config import BackoffSettings

#: Failures that pass: the same place may do better a moment later.
PASSING: Final = frozenset(
    {
        "busy",
        "connect",
        "cut",
        "dns",
        "overloaded",
        "protocol",
        "rate_limit",
        "reset",
        "server",
        "timeout",
    }
)
#: Failures of the place, not of the request: another place may do better. A key that is refused or has spent its quota
#: is one of these.
ELSEWHERE: Final = PASSING | {"authentication", "not_found", "permission", "quota", "tls", "too_large"}

#: Methods that change nothing (RFC 9110 §9.2.1).
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_KEY: Final = b"idempotency-key"

#: Statuses by which a plain HTTP upstream, or one that answers a call of no model, says that it could not answer. All
#: others are its answer.
_UNANSWERED: Final = frozenset({429, 500, 502, 503, 504, 529})


def check_after(target: TargetConfig) -> None:
    """Look at the kinds of failures that a target is meant for.

    Raises:
        ConfigError: there is no such kind, or it never leads anywhere.
    """
    for index, kind in enumerate(target.after):
        if kind == "invalid_request":
            raise ConfigError(f"after[{index}]", "what is wrong with a request is so at every place")
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, n=1)
            known = ", ".join(sorted(KINDS - {"invalid_request"}))
            raise ConfigError(
                f"after[{index}]", f"{kind!r} is no kind of failure ({known})", near[0] if near else None
            )


def is_answer(exchange: Exchange, status: int) -> bool:
    """Whether an error reply is what the upstream has to say to the request, rather than a failure to answer it."""
    return exchange.model is None and status not in _UNANSWERED


def may_repeat(exchange: Exchange, failure: Failure, *, uploaded: bool) -> bool:
    """Whether a request may be sent again after this.

    A call of a model may: nothing is changed by it. Any other unsafe request may where nothing of it was sent, or where
    its caller made it repeatable by an Idempotency-Key; an upgrade where nothing was sent; what was `uploaded` unread is
    gone.
    """
    if uploaded or isinstance(exchange.upload, Body):
        return False
    if not failure.sent:
        return True
    if exchange.upgraded:
        return False
    request = exchange.request
    return exchange.model is not None or request.method in _SAFE or _KEY in request.headers.index


def goes_elsewhere(failure: Failure) -> bool:
    """Whether another place may do better, though it is not configured for this kind of failure."""
    # What one dialect has no words for, another one may have.
    return failure.kind in ELSEWHERE or failure.phase == "encode"


class Backoff:
    """Waits that grow, with chance in them so that not all who failed together come back together."""

    __slots__ = ("_first", "_most", "_random")

    def __init__(self, settings: BackoffSettings, rng: Random) -> None:
        self._first = settings.first
        self._most = settings.most
        self._random = rng.random

    def wait(self, tries: int, failure: Failure) -> float:
        """Return the seconds until a place that failed so often may be tried again; never less than it asked for."""
        longest = min(self._most, self._first * (1 << min(max(tries, 1) - 1, 20)))
        wait = longest * (0.5 + self._random() / 2)
        return wait if failure.retry_after is None else max(wait, failure.retry_after)
