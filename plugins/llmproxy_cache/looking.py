"""From a request to what is kept: under which key, whether it may be used, what is to be done else."""

from __future__ import annotations

from random import random, randrange
from typing import TYPE_CHECKING, Final

from llmproxy.caches import CacheStatus
from llmproxy.plugin import KIN, Clock, Exchange, GatewayError, Reply
from llmproxy_cache.control import NOTHING, control_of
from llmproxy_cache.finding import Finding
from llmproxy_cache.freshness import FAR, Use, use_of
from llmproxy_cache.kept import Kept
from llmproxy_cache.key import Unreadable
from llmproxy_cache.kinship import answer_of_kin
from llmproxy_cache.plan import PLAN, Plan
from llmproxy_cache.serving import Serving

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace
    from llmproxy_cache.policy import Policy

_MISS: Final = CacheStatus("miss")
_REQUEST: Final = CacheStatus("request")


class Looking:
    """Looks answers up."""

    __slots__ = ("_clock", "_finding", "_serving", "_space")

    def __init__(self, space: CacheSpace, finding: Finding, serving: Serving, clock: Clock) -> None:
        self._space = space
        self._finding = finding
        self._serving = serving
        self._clock = clock

    async def look_up(self, exchange: Exchange, policy: Policy) -> Reply | None:
        """Return a kept reply, or None after having laid down what is to be done."""
        plan = Plan(policy, control_of(exchange.request.headers, policy.controls), _MISS)
        exchange.state[PLAN] = plan
        if KIN in exchange.state:
            plan.kinship = exchange.state[KIN]
        why = _why_never(exchange, plan)
        if not why:
            plan.body = body = await exchange.body()
            why = "" if self._repeated(exchange, plan, body) else self._why_past(exchange, plan)
        reply = None
        if why:
            plan.status = CacheStatus("bypass", detail=why)
        elif exchange.pinned is not None:
            plan.lifetime = exchange.pinned.ttl
        elif (kept := self._finding.at_hand(plan) or await self._finding.elsewhere(plan)) is not None:
            reply = self._quick(exchange, plan, kept) or await self._judge(exchange, plan, kept)
        elif plan.control.refresh:
            plan.status = _REQUEST
        elif plan.kinship is not None and plan.control is NOTHING:
            reply = await answer_of_kin(
                exchange, plan, self._space, self._finding, self._serving, self._clock
            )
        if reply is None and plan.control.only_if_cached and not plan.refreshes:
            raise not_kept()
        return reply

    def _repeated(self, exchange: Exchange, plan: Plan, body: bytes) -> bool:
        """Lay down what the same request laid down before, if there was one."""
        policy = plan.policy
        repeats = policy.repeats
        if repeats is None or (name := repeats.name(exchange, body)) is None:
            return False
        repeat = repeats.find(exchange, name)
        if repeat is None:
            plan.name = name
            return False
        endpoints, plan.key, plan.form = repeat
        plan.lifetime = policy.terms.ttl
        plan.model = endpoints[0].model if endpoints else None
        return True

    def _quick(self, exchange: Exchange, plan: Plan, kept: Kept) -> Reply | None:
        """Return a fresh answer in the form that it has; None where there is more to it."""
        age = kept.age(self._clock.wall())
        if self._use(plan, kept, age) != "fresh":
            return None
        plan.kept, plan.use = kept, "fresh"
        repeats = plan.policy.repeats
        if plan.name is not None and repeats is not None and plan.control is NOTHING:
            repeats.remember(exchange, plan.name, plan.key, plan.form)
        return self._serving.serve_as_kept(exchange, plan, kept, "hit", age=age)

    async def _judge(self, exchange: Exchange, plan: Plan, kept: Kept) -> Reply | None:
        age = kept.age(self._clock.wall())
        use = self._use(plan, kept, age)
        if use in ("stale", "ask") and (newer := await self._finding.newer(plan, kept)) is not None:
            kept, age = newer, newer.age(self._clock.wall())
            use = self._use(plan, kept, age)
        plan.kept, plan.use = kept, use
        if use == "fresh":
            return await self._serving.serve(exchange, plan, kept, "hit", age=age)
        if use == "ask":
            wanted = plan.control.refresh or plan.control.max_age is not None
            plan.status = CacheStatus("request" if wanted else "stale")
        else:
            plan.refreshes = True
        return None

    def _why_past(self, exchange: Exchange, plan: Plan) -> str:
        """Lay down under which key the answer is kept, or return why it must not be."""
        policy = plan.policy
        try:
            keyed = policy.maker.keyed(exchange, plan.body)
        except Unreadable:
            return "unreadable"
        if keyed.refusal:
            return keyed.refusal
        key = policy.key(exchange, keyed, plan.control)
        if isinstance(key, str):
            return key
        if policy.settings.variants > 1 and not keyed.facts.settled:
            key = b"%bv%d" % (key, randrange(policy.settings.variants))  # noqa: S311  # no secret
        plan.key = key
        plan.form = keyed.form
        plan.lifetime = policy.lifetime(plan.control)
        plan.model = exchange.endpoints[0].model if exchange.endpoints else None
        if policy.tags_header:
            plan.tags = _tags(exchange.request.headers.index.get(policy.tags_header))
        return ""

    def _use(self, plan: Plan, kept: Kept, age: float) -> Use:
        policy, about = plan.policy, kept.about
        if about.pinned and not kept.soft and age < about.lifetime:
            return "fresh"
        lifetime, beta = min(about.lifetime, policy.most), policy.settings.early_refresh
        if plan.control is NOTHING and not kept.soft and lifetime - age > about.seconds * beta * FAR:
            return "fresh"
        return use_of(
            age,
            lifetime,
            policy.terms.stale_while_revalidate,
            plan.control,
            soft=kept.soft,
            seconds=about.seconds,
            beta=beta,
            draw=1.0 - random(),  # noqa: S311  # likewise
        )


def not_kept() -> GatewayError:
    """Return what a caller is told who wants nothing but what is kept."""
    return GatewayError(504, "not_cached", "The answer is not kept, and nothing else was asked for.")


def _why_never(exchange: Exchange, plan: Plan) -> str:
    """Return why a request goes past the cache without a look at its body."""
    if not plan.policy.cacheable:
        return "stateless"
    if exchange.request.method != "POST":
        return "method"
    return "asked" if plan.control.bypass else ""


def _tags(value: bytes | None) -> tuple[str, ...]:
    if value is None:
        return ()
    text = value.decode("utf-8", "replace").replace(",", " ")
    return tuple(dict.fromkeys(text.split()))
