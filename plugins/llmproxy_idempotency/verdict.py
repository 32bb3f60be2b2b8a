"""What a caller is told who comes again with a key that is in use. Pure."""

from __future__ import annotations

from llmproxy.plugin import BadRequest, GatewayError
from llmproxy_idempotency.record import Record, State

#: Seconds after which a caller may ask again for a result that is on its way.
SOON = 1.0

# SDKs take 409 for something that passes; these do not.
_NO_USE = (("x-should-retry", "false"),)

_GO_ON = (
    "Find out whether it took effect; then send it with a new key, or not at all. "
    "It is not sent again under this key."
)
_WHY = {
    "record_lost": "A request with this key was sent, and the store has lost what became of it. ",
    "record_unreadable": "What the store holds of this key cannot be read. ",
}
_ENDED = "A request with this key was sent, and no complete answer came back: nobody knows whether it was executed. "


def malformed(header: str, reason: str) -> GatewayError:
    """Return what is told of a header that holds no key."""
    return BadRequest("idempotency_key_malformed", f"The header {header} {reason}.")


def missing(header: str) -> GatewayError:
    """Return what is told where a key is required."""
    message = (
        f"This request needs the header {header}: a key of its own, such as a UUID, the same in each retry."
    )
    return BadRequest("idempotency_key_required", message)


def reused(header: str) -> GatewayError:
    """Return what is told of a second request with the key of another."""
    message = f"This {header} belongs to a request that was different; a new request needs a new key."
    return BadRequest("idempotency_key_reused", message, status=422)


def unavailable() -> GatewayError:
    """Return what is told while the store is away."""
    message = "Whether this request was executed before cannot be found out now, so it was not executed."
    return GatewayError(503, "idempotency_unavailable", message, retry_after=SOON)


def in_flight() -> GatewayError:
    """Return what is told while the first request runs."""
    message = "A request with this key is being executed; ask again for its result."
    return GatewayError(409, "idempotency_in_flight", message, retry_after=SOON)


def outcome_unknown(reason: str) -> GatewayError:
    """Return what is told where nobody knows whether the request was executed."""
    message = _WHY.get(reason, _ENDED) + _GO_ON
    return GatewayError(409, "idempotency_outcome_unknown", message, headers=_NO_USE)


def not_kept(status: int) -> GatewayError:
    """Return what is told of a result that is known and cannot be given again."""
    message = f"The request with this key was executed and answered {status}; the answer itself was not kept."
    return GatewayError(409, "idempotency_result_not_kept", message, headers=_NO_USE)


def not_resent() -> GatewayError:
    """Return what is told of another attempt after one that may have been executed."""
    message = (
        "The first attempt may have been executed, so a request with an idempotency key is not sent again."
    )
    return GatewayError(502, "idempotency_not_resent", message, headers=_NO_USE)


def refusal(record: Record, *, alive: bool) -> GatewayError | None:
    """Return what is told of a key in this state, None if its answer can be given; `alive`: its worker lives."""
    if record.state == State.KEPT:
        return None
    if record.state == State.DROPPED:
        return not_kept(record.status)
    if record.state == State.UNKNOWN:
        return outcome_unknown(record.reason)
    if record.state == State.SENT and not alive:
        return outcome_unknown("worker_died")
    return in_flight()
