"""The plugin's configuration, and what a route may say otherwise."""

from __future__ import annotations

from typing import Annotated

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section
from llmproxy_balance.belongingsettings import AffinitySettings, OriginSettings
from llmproxy_balance.healthsettings import HealthSettings
from llmproxy_balance.hedgesettings import HedgeSettings
from llmproxy_balance.limitsettings import QueueSettings
from llmproxy_balance.policies import PolicySettings
from llmproxy_balance.retrybudget import RetryBudgetSettings

Tries = Annotated[int, msgspec.Meta(ge=0, le=10)]


class BackoffSettings(Section, frozen=True):
    """How long the same place is left alone before it is tried again: `first`, doubled each time, `most` at most."""

    first: Duration = 0.1
    most: Duration = 2.0

    def __post_init__(self) -> None:
        if self.most < self.first:
            raise ConfigError("most", "shorter than first")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`100ms` is the first wait."""
        return tree if isinstance(tree, dict) else {"first": tree}


class BalanceConfig(Section, frozen=True):
    """What follows from a failed attempt.

    `retries` is how often a place is tried again before the next one is. `max_wait` is the longest that a caller waits
    for a place that asks for patience; one that asks for more is left for the next. `tell_attempts` lets callers ask
    which places were tried. `hedge` makes a second attempt beside a slow one. `affinity` holds callers to places,
    `origins` takes requests to who made what they refer to. With `seed`, what chance decides is the same in every run.
    """

    retries: Tries = 0
    backoff: BackoffSettings = BackoffSettings()
    max_wait: Duration = 5.0
    retry_budget: RetryBudgetSettings = RetryBudgetSettings()
    tell_attempts: bool = True
    queue: QueueSettings = QueueSettings()
    health: HealthSettings | None = HealthSettings()
    hedge: HedgeSettings | None = None
    affinity: AffinitySettings | None = None
    origins: OriginSettings = OriginSettings()
    seed: int | None = None


class BalanceRoute(Section, frozen=True):
    """What a route has otherwise; what it leaves out is as the plugin's configuration says.

    `policies` are other pools or strategies, by the names that callers pick them by in the header `policy_header`.
    """

    retries: Tries | None = None
    max_wait: Duration | None = None
    hedge: HedgeSettings | None = None
    affinity: AffinitySettings | None = None
    policies: dict[str, PolicySettings] = msgspec.field(default_factory=dict)
    policy_header: str = "x-llmproxy-policy"
