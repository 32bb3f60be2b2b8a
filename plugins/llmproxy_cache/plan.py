"""What the cache has found out of one request, and means to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.caches import CacheStatus
from llmproxy.plugin import StateKey

if TYPE_CHECKING:
    from llmproxy.caches import Mark
    from llmproxy.plugin import Asked, Form, Kinship
    from llmproxy_cache.control import Control
    from llmproxy_cache.freshness import Use
    from llmproxy_cache.kept import Kept
    from llmproxy_cache.policy import Policy
    from llmproxy_cache.repeats import Name


class Plan:
    """One request's way through the cache; an empty `key` goes past it.

    `kept` is what was found and may have to do in an emergency; with `refreshes` it is what the caller gets, while the
    answer is made anew.
    """

    # Most of these stay as they are in most requests: they are looked up on the class until they are known.
    key = b""
    #: What the key was made of.
    body = b""
    form: Form | None = None
    kept: Kept | None = None
    use: Use = "ask"
    refreshes = False
    #: The request as it came, where nothing was found out of it before.
    name: Name | None = None
    lifetime = 0.0
    tags: tuple[str, ...] = ()
    #: Who knows of questions that mean the same, and what is asked, once that was looked at.
    kinship: Kinship | None = None
    asked: Asked | None = None
    #: How the answer was found, where that was not by its exact key.
    tier = ""
    #: The upstream's model that the key is about; another's answer is another answer.
    model: str | None = None
    #: When the upstream was asked: as purges count, and in seconds on the gateway's clock.
    mark: Mark | None = None
    started = 0.0
    #: Whether the reply says already how it was cached.
    written = False

    def __init__(self, policy: Policy, control: Control, status: CacheStatus) -> None:
        self.policy = policy
        self.control = control
        self.status = status

    def again(self) -> Plan:
        """Return a plan that asks for the same anew, for nobody's caller."""
        plan = Plan(self.policy, self.control, CacheStatus("stale"))
        plan.key, plan.body, plan.form = self.key, self.body, self.form
        plan.lifetime, plan.tags, plan.model = self.lifetime, self.tags, self.model
        plan.kept, plan.kinship = self.kept, self.kinship
        return plan

    def tell(self, **changed: object) -> None:
        """Change what Cache-Status will say."""
        self.status = self.status._replace(**changed)  # type: ignore[arg-type]


PLAN: Final[StateKey[Plan]] = StateKey("cache.plan")
