"""Who sent a webhook: its signature by the Standard Webhooks specification, or a bearer token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from hmac import new as keyed

from llmproxy.plugin import GatewayError, Headers


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for: base64 after `whsec_`, else its own bytes.

    Raises:
        ValueError: what follows `whsec_` is not base64.
    """
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is not base64") from None


def check_signature(
    headers: Headers, body: bytes, keys: Sequence[bytes], now: float, tolerance: float
) -> None:
    """Let pass what one of the keys has signed, not longer ago than `tolerance` seconds.

    Raises:
        GatewayError: it was signed by somebody else, or at another time (401).
    """
    name, stamp, given = (headers.get(f"webhook-{part}") or "" for part in ("id", "timestamp", "signature"))
    if not (name and stamp and given):
        raise _refused(
            "unsigned", "This needs the fields webhook-id, webhook-timestamp and webhook-signature."
        )
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and abs(int(stamp) - now) <= tolerance):
        raise _refused("stale_signature", "The webhook's timestamp is too far from this gateway's clock.")
    signed = f"{name}.{stamp}.".encode() + body
    made = [base64.b64encode(keyed(key, signed, sha256).digest()) for key in keys]
    offered = [part[3:].encode() for part in given.split()[:8] if part.startswith("v1,")]
    # Every pair is compared, so that the time taken tells nothing.
    if not sum(compare_digest(one, other) for one in made for other in offered):
        raise _refused("wrong_signature", "The webhook's signature is not by a secret that is known here.")


def check_bearer(headers: Headers, tokens: Sequence[bytes]) -> None:
    """Let pass who sends one of the tokens.

    Raises:
        GatewayError: another token was sent, or none (401).
    """
    scheme, _, given = (headers.get("authorization") or "").partition(" ")
    token = given.strip().encode("latin-1")
    if scheme.lower() != "bearer" or not sum(compare_digest(token, each) for each in tokens):
        raise _refused("wrong_token", "This needs a bearer token that is known here.")


def _refused(code: str, message: str) -> GatewayError:
    return GatewayError(401, code, message, headers=[("WWW-Authenticate", "Bearer")])
