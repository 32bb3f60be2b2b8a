"""Why a request was led where it was: the policy its caller picked, its arm of an experiment, how hard it looked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llmproxy.plugin import ARM, Exchange, Reply
from llmproxy_balance.complexity import JUDGED
from llmproxy_balance.policies import POLICY
from llmproxy_balance.telling import quoted

CHOICE: Final = "x-llmproxy-choice"


def choices_of(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield what led the request, as members of a dictionary of structured fields (RFC 9651 §3.2)."""
    state = exchange.state
    policy, arm, judged = state.get(POLICY), state.get(ARM), state.get(JUDGED)
    if policy is not None:
        yield "policy", quoted(policy)
    if arm is not None:
        sticky = "" if arm.sticky else ";sticky=?0"
        yield "arm", f"{quoted(arm.name)};experiment={quoted(arm.experiment)}{sticky}"
    if judged is not None:
        parts = "".join(f";{name}={added:.3f}" for name, added in judged.parts.items())
        yield "complexity", f"{judged.score:.3f}{parts}"


def tell_choice(exchange: Exchange, reply: Reply) -> None:
    """Say what led the request: `policy="cheap", arm="canary";experiment="chat"`."""
    told = ", ".join(f"{name}={value}" for name, value in choices_of(exchange))
    if told:
        reply.headers.set(CHOICE, told)
