"""What callers are told of their limits: header fields and refusals.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` says what holds, `RateLimit` how it
stands; both are lists of structured items (RFC 9651).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import GatewayError, Headers, reserving

if TYPE_CHECKING:
    from llmproxy_quota.book import Rule
    from llmproxy_quota.config import LimitConfig

_UNITS: Final = {"requests": "", "tokens": ';qu="tokens"', "in_flight": ';qu="concurrent-requests"'}
_MONTH: Final = 30 * 86_400
_WHAT: Final = {
    "requests": "requests",
    "tokens": "tokens",
    "money": "money",
    "in_flight": "calls in flight",
}

PRICE_UNKNOWN: Final = (
    "What this model costs is not known to the gateway, and what may be spent is limited; ask for another model, or "
    "your operator for a price of it."
)


def policy(config: LimitConfig) -> str:
    """Return the item that tells of a limit, "" for those that are nobody's business: money, and shadows."""
    if config.counts == "money" or config.mode == "shadow":
        return ""
    seconds = _seconds(config)
    window = f";w={seconds}" if seconds else ""
    return f'"{config.name}";q={config.whole}{_UNITS[config.counts]}{window}'


def state(name: str, standing: reserving.Standing) -> str:
    """Return the item that tells how a limit stands."""
    wait = f";t={-(-standing.wait // reserving.SECOND)}" if standing.wait > 0 else ""
    return f'"{name}";r={standing.left}{wait}'


def rate_limit(told: Sequence[tuple[Rule, reserving.Standing]]) -> list[tuple[str, str]]:
    """Return the header fields."""
    shown = [(rule, standing) for rule, standing in told if rule.policy]
    if not shown:
        return []
    return [
        ("RateLimit-Policy", ", ".join([rule.policy for rule, _ in shown])),
        ("RateLimit", ", ".join([state(rule.config.name, standing) for rule, standing in shown])),
    ]


class Heading:
    """The header fields of some limits, written as far as they do not change; see `rate_limit`."""

    __slots__ = ("_items", "_policy")

    def __init__(self, rules: Sequence[Rule]) -> None:
        #: Of each limit how its item begins, nothing for one that is not told.
        self._items = [f'"{rule.config.name}";r=' if rule.policy else "" for rule in rules]
        told = ", ".join([rule.policy for rule in rules if rule.policy])
        self._policy = (b"RateLimit-Policy", told.encode())

    @property
    def tells(self) -> bool:
        """Whether there is anything to tell."""
        return any(self._items)

    def template(self, waits: Sequence[int]) -> bytes:
        """Write how limits stand that are whole again after so many microseconds, but for what is left of each.

        Those numbers are put in by `%`, all of them: of a limit that is not told no sign remains.
        """
        told, untold = [], ""
        for item, wait in zip(self._items, waits, strict=True):
            if not item:
                untold += "%.0a"
                continue
            after = f";t={-(-wait // reserving.SECOND)}" if wait > 0 else ""
            told.append(f"{untold}{item.replace('%', '%%')}%d{after}")
            untold = ""
        return (", ".join(told) + untold).encode()

    def state(self, standings: Sequence[reserving.Standing]) -> bytes:
        """Write how limits stand."""
        template = self.template([standing.wait for standing in standings])
        return template % tuple([standing.left for standing in standings])

    def tell(self, headers: Headers, said: bytes) -> None:
        """Set the fields; `said` is how the limits stood."""
        headers.put(b"ratelimit-policy", self._policy)
        headers.put(b"ratelimit", (b"RateLimit", said))


def refusal(told: Sequence[tuple[Rule, reserving.Standing]]) -> GatewayError:
    """Return what a caller is told where something does not fit: the limit that takes longest."""
    refused = [
        (rule.config, standing) for rule, standing in told if not standing.ok and rule.config.mode != "shadow"
    ]
    config, standing = max(refused, key=lambda each: float("inf") if each[1].wait < 0 else each[1].wait)
    status = 402 if config.counts == "money" else 429
    code = "budget_spent" if config.counts == "money" else "rate_limited"
    wait = None if standing.wait == reserving.NEVER else standing.wait / reserving.SECOND
    return GatewayError(status, code, _reason(config, standing), retry_after=wait)


def _reason(config: LimitConfig, standing: reserving.Standing) -> str:
    limit = f"the limit {config.name!r} of {_WHAT[config.counts]} for this {config.scope}"
    bounded = config.counts in {"tokens", "money"}
    if standing.wait == reserving.NEVER:
        if not bounded:
            return f"T{limit[1:]} allows none."
        return f"This request alone could use more than {limit} allows; make it shorter, or its max_tokens smaller."
    if bounded and standing.left > 0:
        return f"This request could use more than is left of {limit}; a shorter one, or a smaller max_tokens, may fit."
    return f"T{limit[1:]} is reached."


def _seconds(config: LimitConfig) -> int:
    if config.window is not None:
        return {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": _MONTH}[config.window]
    return ceil(config.rate or config.rolling or 0)
