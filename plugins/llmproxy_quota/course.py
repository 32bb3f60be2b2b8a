"""What was taken for one exchange, as long as it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy_quota.book import Rules
    from llmproxy_quota.bounds import Bound
    from llmproxy_quota.taking import Hold


class Course:
    """What one exchange has taken of its limits."""

    __slots__ = ("bound", "early", "gone", "late", "rules")

    def __init__(self, rules: Rules | None = None) -> None:
        #: What it has to keep, whatever its model; None where that is to be found out.
        self.rules = rules
        #: Its requests and its place in flight.
        self.early: Hold | None = None
        #: Its tokens and money, by attempt.
        self.late: dict[int, Hold] = {}
        #: What its request comes to, once anybody asked.
        self.bound: Bound | None = None
        #: Whether the caller has gone, or has his answer; an attempt of his may go on, for others or to be drained.
        self.gone = False
