"""The plugin's configuration: which limits there are, of what, and what holds where something is not known."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import ClassVar, Final, Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, Measure, ScopeKind, Section, StoreName, reserving

#: Lengths of calendar windows in seconds; 0 is a month.
CALENDAR: Final = {"minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 0}
Calendar = Literal["minute", "hour", "day", "week", "month"]


class ThenConfig(Section, frozen=True):
    """What is done while a limit is near its end: dearer calls are answered by this public model."""

    model: str

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """A model's name is enough."""
        return {"model": tree} if isinstance(tree, str) else tree

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("model", "empty; name a model that the routes serve, and that costs less")


class LimitConfig(Section, frozen=True):
    """One limit: `at_most` so much of what it `counts`, for each account of its scope whose name matches.

    Accounts that `at_most_for` names have as much as it says: the first of its patterns that matches. One of `rate`,
    `window` and `rolling` says in which time; calls in flight have none. Money is in dollars.
    """

    name: str
    counts: Measure
    at_most: Decimal
    scope: ScopeKind = "tenant"
    match: str = "*"
    at_most_for: dict[str, Decimal] = {}  # noqa: RUF012  # a struct copies its defaults
    rate: Duration | None = None
    burst: int | None = None
    window: Calendar | None = None
    rolling: Duration | None = None
    mode: reserving.Mode = "hard"
    #: Whether all tenants share it.
    across: bool = False
    #: The share of it from which on `then` holds.
    near: Decimal | None = None
    then: ThenConfig | None = None

    elsewhere: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("limit", "max", "amount", "budget", "max_budget"), "write at_most"),
        **dict.fromkeys(("per", "period", "duration", "budget_duration"), "write window or rolling"),
        **dict.fromkeys(("for", "by", "team", "tenant", "key", "user", "model"), "write scope and match"),
    }

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Tell who writes a length where a calendar's window stands."""
        window = tree.get("window") if isinstance(tree, dict) else None
        if isinstance(window, str) and window[:1].isdigit():
            raise ValueError(
                f"window is {', '.join(CALENDAR)}; for any time of a length write rolling: {window[:20]}"
            )
        return tree

    def __post_init__(self) -> None:
        spans = [span for span in (self.rate, self.window, self.rolling) if span is not None]
        if self.counts == "in_flight":
            if spans:
                raise ConfigError(
                    "counts", "calls in flight are limited at each moment: remove rate, window and rolling"
                )
        elif len(spans) != 1:
            raise ConfigError(
                "window",
                "a limit needs one of window (month, day...), rolling (30d, 24h...) and rate (for requests)",
            )
        if self.rate is not None and self.counts != "requests":
            raise ConfigError("rate", f"only requests have a rate; {self.counts} need window or rolling")
        if self.burst is not None and (self.rate is None or self.burst < 1):
            raise ConfigError("burst", "at least 1, and only with `rate`")
        if self.rolling is not None and self.rolling < 1:
            raise ConfigError("rolling", "at least 1s")
        self._check_size("at_most", self.at_most)
        for pattern, most in self.at_most_for.items():
            self._check_size(f"at_most_for.{pattern}", most)
        self._check_near()

    def _check_near(self) -> None:
        if (self.near is None) != (self.then is None):
            raise ConfigError("then", "near and then belong together: near: 0.9, then: MODEL")
        if self.near is None:
            return
        if not 0 <= self.near < 1:
            raise ConfigError("near", "a share of the limit, such as 0.9")
        if self.counts not in {"money", "tokens"}:
            raise ConfigError("then", "another model saves money or tokens: only their limits have it")

    def _check_size(self, path: str, at_most: Decimal) -> None:
        if at_most < 0 or (self.counts != "money" and at_most % 1):
            raise ConfigError(path, "a whole number, or dollars where money is counted")
        most = self._counted(at_most)
        if self.rate is not None:
            if most < 1 or not self.rate:
                raise ConfigError("rate", f"at least one request in some time, not {path}: {at_most}")
            most = max(self.burst or most, most) * int(self.rate * reserving.SECOND)
        if most >= reserving.MOST:
            raise ConfigError(path, "more than is counted exactly")

    @property
    def whole(self) -> int:
        """The limit as it is counted: money in microdollars."""
        return self._counted(self.at_most)

    def of(self, account: str) -> LimitConfig:
        """Return the limit as it is for one account."""
        for pattern, most in self.at_most_for.items():
            if fnmatchcase(account, pattern):
                return msgspec.structs.replace(self, at_most=most)
        return self

    def _counted(self, amount: Decimal) -> int:
        return int(amount * 1_000_000 if self.counts == "money" else amount)


class QuotaConfig(Section, frozen=True):
    """Which limits there are.

    `output` bounds answers of requests that bound none, and is put into them; `attachment` is what an image or a file
    is taken for, `context` a conversation that the provider keeps; in tokens. `share` is what each worker goes on
    with, as a part of soft limits, while the store is away: one in so many.
    """

    store: StoreName
    limits: tuple[LimitConfig, ...]
    unpriced: Literal["refuse", "zero"] = "refuse"
    unbounded: Literal["refuse", "assume"] = "refuse"
    output: int = 4096
    expected_output: int = 500
    attachment: int = 16_384
    context: int = 200_000
    bound_chat_by: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    lease: Duration = 30.0
    share: int = 4
    headers: bool = True

    elsewhere: ClassVar[Mapping[str, str]] = {"prices": "it is a section of its own, beside `plugins`"}

    def __post_init__(self) -> None:
        seen = set()
        for index, limit in enumerate(self.limits):
            if (
                limit.name in seen
                or not limit.name.isprintable()
                or not limit.name.isascii()
                or '"' in limit.name
            ):
                raise ConfigError(
                    f"limits[{index}].name", "each limit needs a name of its own, in plain ASCII"
                )
            seen.add(limit.name)
        if min(self.output, self.expected_output, self.share) < 1 or min(self.attachment, self.context) < 0:
            raise ConfigError(
                "output", "output, expected_output and share are at least 1, the others not negative"
            )
        if self.lease < 1:
            raise ConfigError("lease", "at least 1s")


class QuotaRoute(Section, frozen=True):
    """What a route may say: nothing yet."""
