"""Tokens of an OpenID provider (JWT, RFC 7519): whose they are, and whether they hold."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from llmproxy.plugin import Caller, GatewayError
from llmproxy_access.tokensettings import IssuerConfig

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

#: Bytes of a token; a proxy's header line has no room for more.
LONGEST: Final = 16_384
#: Characters of a claim that names somebody.
_LONGEST_NAME: Final = 200


class TokenHead(NamedTuple):
    """What a token says of itself before it is known to hold."""

    issuer: str
    algorithm: str
    key_id: str | None


class Verified(NamedTuple):
    """Whom a token that holds stands for, until when (wall time, without leeway)."""

    caller: Caller
    expires: float


class UnknownKey(Exception):
    """The token names a key that the issuer did not have when it was last asked."""


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None


class _Issuer(msgspec.Struct):
    iss: str


def read_head(token: bytes) -> TokenHead | None:
    """Return what a token says of itself; None for what is no signed token."""
    if not token.startswith(b"eyJ") or token.count(b".") != 2 or len(token) > LONGEST:
        return None
    header, payload, _ = token.split(b".")
    try:
        head = msgspec.json.decode(_decoded(header), type=_Header)
        issuer = msgspec.json.decode(_decoded(payload), type=_Issuer)
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        return None
    return TokenHead(issuer.iss, head.alg, head.kid)


def verify(token: bytes, keys: KeySet, config: IssuerConfig, wall: float) -> Verified:
    """Return whom a token stands for.

    Raises:
        UnknownKey: none of the keys is the token's.
        GatewayError: it does not hold (401), or does not say who it is for (403).
    """
    from joserfc import errors, jwt  # noqa: PLC0415  # large; few gateways take tokens
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    registry = JWSRegistry(algorithms=list(config.algorithms), strict_check_header=False)
    try:
        claims = jwt.decode(token, keys, registry=registry).claims
    except errors.InvalidKeyIdError:
        raise UnknownKey from None
    except (errors.JoseError, ValueError, TypeError, RecursionError):
        raise refusal("The token's signature does not hold.") from None
    checks = jwt.JWTClaimsRegistry(
        now=int(wall),
        leeway=int(config.leeway),
        iss={"essential": True, "value": config.issuer},
        aud={"essential": True, "values": list(config.audience)},
        exp={"essential": True},
    )
    try:
        checks.validate(claims)
        expires = float(claims["exp"])
    except errors.ExpiredTokenError:
        raise refusal("The token has expired.", code="expired_token") from None
    except (errors.JoseError, ValueError, TypeError, OverflowError):
        raise refusal("The token is not meant for here, or not for now.") from None
    return Verified(_caller(claims, config), expires)


def refusal(message: str, code: str = "invalid_token") -> GatewayError:
    """Return what the bearer of a token is told (RFC 6750 §3.1)."""
    challenge = 'Bearer error="invalid_token"'
    return GatewayError(401, code, message, headers=[("WWW-Authenticate", challenge)])


def _caller(claims: Mapping[str, Any], config: IssuerConfig) -> Caller:
    told = config.claims
    tenant = config.tenant if config.tenant is not None else _named(claims, told.tenant)
    pairs = (("org", told.org), ("team", told.team), ("user", told.user))
    labels = tuple((label, _named(claims, claim)) for label, claim in pairs if claim is not None)
    return Caller(tenant, config.name, labels)


def _named(claims: Mapping[str, Any], claim: str | None) -> str:
    """Return the name that a claim holds: a text, a number, or a list of one; it has to be there.

    Without it a limit of the team, say, would count nothing.
    """
    value = None if claim is None else _found(claims, claim)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise GatewayError(403, "claim_missing", f"The token has no claim {claim!r} that names one.")
    return value


def _found(claims: Mapping[str, Any], claim: str) -> Any:
    """Find a claim by its name, or by a path of names with dots between."""
    if claim in claims:
        return claims[claim]
    value: Any = claims
    for name in claim.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _decoded(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
