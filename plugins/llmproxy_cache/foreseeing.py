"""What can be said of one request without the store: which terms hold and why, whether an answer is kept, its key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from llmproxy.caches import Part, key_name
from llmproxy.plugin import BadRequest, Exchange
from llmproxy_cache.control import Control, control_of
from llmproxy_cache.explaining import parts_of
from llmproxy_cache.key import Unreadable
from llmproxy_cache.policy import Policy, sharers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmproxy_cache.key import Keyed


class Weighed(NamedTuple):
    """Whether an answer is kept, in words; its key, empty where it is not.

    `parts` gives what the key is made of, or would be; nothing where the request cannot be read.
    """

    kept: str
    key: bytes = b""
    keyed: Keyed | None = None
    parts: Callable[[], list[Part]] = list


def weigh(policy: Policy, exchange: Exchange, body: bytes) -> Weighed:
    """Judge one request as a look-up would."""
    if not policy.cacheable:
        return Weighed("no: stateless")
    try:
        control = control_of(exchange.request.headers, policy.controls)
        keyed = policy.maker.keyed(exchange, body)
    except BadRequest as fault:
        return Weighed(f"no: {fault.message}")
    except Unreadable:
        return Weighed("no: unreadable")
    key = keyed.refusal or policy.key(exchange, keyed, control)
    parts = partial(parts_for, policy, exchange, body, keyed, control)
    if exchange.request.method != "POST" or control.bypass or isinstance(key, str):
        why = key if isinstance(key, str) else "asked" if control.bypass else "method"
        return Weighed(f"no: {why}", b"", keyed, parts)
    return Weighed(f"if the answer is whole and without a flaw ({keyed.facts.kind})", key, keyed, parts)


def parts_for(policy: Policy, exchange: Exchange, body: bytes, keyed: Keyed, control: Control) -> list[Part]:
    """Return what the key of a request is made of."""
    scopes = policy.scope(control)
    sharers = (
        sharers_of(exchange.caller, keyed.facts, scopes) if len(scopes) > 1 or scopes[0] != "public" else []
    )
    return parts_of(policy.maker, exchange, body, scope="+".join(scopes), sharer="\n".join(sharers))


def foresee(policy: Policy, exchange: Exchange, body: bytes) -> Iterator[tuple[str, str]]:
    """Give what `llmproxy explain` says."""
    yield from policy.reasons()
    if not policy.cacheable:
        return
    weighed = weigh(policy, exchange, body)
    yield "kept", weighed.kept
    if weighed.key:
        yield "key", key_name(weighed.key)
        for part in weighed.parts():
            yield f"key part {part.name}", part.shown or part.digest
