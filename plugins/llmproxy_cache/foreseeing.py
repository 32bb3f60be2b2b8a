"""What `llmproxy explain` says of the cache: which terms hold and why, whether an answer is kept, its key's parts."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.plugin import BadRequest, Exchange, key_name
from llmproxy_cache.control import control_of
from llmproxy_cache.explaining import parts_of
from llmproxy_cache.key import Unreadable
from llmproxy_cache.policy import Policy


def foresee(policy: Policy, exchange: Exchange, body: bytes) -> Iterator[tuple[str, str]]:
    """Give what can be said of one request without the store."""
    yield from policy.reasons()
    if not policy.cacheable:
        return
    try:
        control = control_of(exchange.request.headers, policy.controls)
        keyed = policy.maker.keyed(exchange, body)
    except BadRequest as fault:
        yield "kept", f"no: {fault.message}"
        return
    except Unreadable:
        yield "kept", "no: unreadable"
        return
    key = keyed.refusal or policy.key(exchange, keyed, control)
    if exchange.request.method != "POST" or control.bypass or isinstance(key, str):
        why = key if isinstance(key, str) else "asked" if control.bypass else "method"
        yield "kept", f"no: {why}"
        return
    yield "kept", f"if the answer is whole and without a flaw ({keyed.facts.kind})"
    yield "key", key_name(key)
    scopes = "+".join(policy.scope(control))
    for part in parts_of(policy.maker, exchange, body, scope=scopes):
        yield f"key part {part.name}", part.shown or part.digest
