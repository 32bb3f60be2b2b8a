"""What callers are told of what is wrong with their requests: where, and what would be right; no value."""

from __future__ import annotations

from collections.abc import Sequence

from llmproxy.plugin import BadField, BadRequest, GatewayError
from llmproxy_validation.faults import Fault


def invalid(faults: Sequence[Fault]) -> BadField:
    """Return the refusal of a request; problem documents list the faults (RFC 9457 §3)."""
    told = "; ".join(fault.sentence for fault in faults)
    error = BadField("invalid_request", f"The request is not valid: {told}.", faults[0].pointer or None)
    error.members = {
        "errors": [
            {"in": each.place, "pointer": "#" + each.pointer, "detail": each.detail} for each in faults
        ]
    }
    return error


def unknown_operation(method: str, allowed: Sequence[str]) -> GatewayError:
    """Return the refusal of what the document does not know."""
    if not allowed:
        return BadRequest("unknown_operation", "This API has no such path.", status=404)
    methods = ", ".join(allowed)
    return GatewayError(
        405, "method_not_allowed", f"This path takes {methods}.", headers=[("Allow", methods)]
    )


def wrong_media(kinds: Sequence[str]) -> BadRequest:
    """Return the refusal of a body of another type."""
    message = f"The request's body must be plain, and of the type {' or '.join(kinds) or 'none'}."
    return BadRequest("unsupported_media_type", message, status=415)


def too_large(limit: int) -> BadRequest:
    """Return the refusal of a body that is not looked into."""
    message = f"The request's body is larger than {limit} bytes, which is more than is validated."
    return BadRequest("body_too_large", message, status=413)


def invalid_reply(details: str) -> GatewayError:
    """Return what a caller gets in place of an answer that is not as declared."""
    return GatewayError(502, "reply_not_valid", f"The upstream's answer is not valid: {details}.")
