from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from llmproxy.plugin import Caller, GatewayError
from llmproxy_access.tokens import LONGEST, UnknownKey, read_head, verify
from llmproxy_access.tokensettings import ClaimNames, IssuerConfig

from .signing import ISSUER, KEY, NEXT, WALL, key_set, keys_of, signed

CONFIG = IssuerConfig(
    name="corp",
    issuer=ISSUER,
    audience=("llmproxy", "other"),
    claims=ClaimNames(tenant="org", user="sub"),
    jwks="http://127.0.0.1:1/keys",
)


def refused(token: bytes, config: IssuerConfig = CONFIG) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        verify(token, key_set(KEY), config, WALL)
    return caught.value


def part(told: object) -> bytes:
    return base64.urlsafe_b64encode(orjson.dumps(told)).rstrip(b"=")


def test_a_token_says_who_calls_and_until_when() -> None:
    verified = verify(signed(), key_set(NEXT, KEY), CONFIG, WALL)

    assert verified.caller == Caller("acme", "corp", (("user", "ann"),))
    assert verified.expires == WALL + 300


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "http://127.0.0.1:1/other"}, "invalid_token"),
        ({"aud": "elsewhere"}, "invalid_token"),
        ({"aud": ["elsewhere"]}, "invalid_token"),
        ({"aud": None}, "invalid_token"),
        ({"exp": None}, "invalid_token"),
        ({"exp": "soon"}, "invalid_token"),
        ({"exp": 10**400}, "invalid_token"),
        ({"exp": int(WALL) - 30}, "expired_token"),
        ({"nbf": int(WALL) + 60}, "invalid_token"),
        ({"org": None}, "claim_missing"),
        ({"org": ""}, "claim_missing"),
        ({"org": ["a", "b"]}, "claim_missing"),
        ({"org": "a\nb"}, "claim_missing"),
        ({"org": "x" * 201}, "claim_missing"),
        ({"sub": None}, "claim_missing"),
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused(claims: dict[str, Any], code: str) -> None:
    assert refused(signed(**claims)).code == code


@pytest.mark.parametrize(
    "claims", [{"aud": ["a", "llmproxy"]}, {"aud": "other"}, {"exp": int(WALL) - 29}, {"org": ["acme"]}]
)
def test_one_audience_is_enough_and_clocks_may_differ_a_little(claims: dict[str, Any]) -> None:
    assert verify(signed(**claims), key_set(KEY), CONFIG, WALL).caller.tenant == "acme"


def test_any_changed_byte_of_the_signature_or_the_claims_is_seen() -> None:
    header, payload, signature = signed().split(b".")
    other = b".".join((header, signed(sub="eve").split(b".")[1], signature))
    cut = b".".join((header, payload, signature[:-4]))
    empty = b".".join((header, payload, b""))

    assert [refused(token).code for token in (other, cut, empty)] == ["invalid_token"] * 3


def test_nobody_signs_with_the_public_key_as_a_secret_or_not_at_all() -> None:
    public = OctKey.import_key(orjson.dumps(keys_of(KEY)), {"kid": "one"})
    unsigned = b".".join((part({"alg": "none", "kid": "one"}), signed().split(b".")[1], b""))

    assert refused(signed(public, alg="HS256")).code == "invalid_token"
    assert refused(unsigned).code == "invalid_token"


def test_a_signature_of_another_algorithm_than_pinned_is_refused() -> None:
    config = IssuerConfig(
        name="corp",
        issuer=ISSUER,
        audience=("llmproxy",),
        algorithms=("RS256",),
        tenant="t",
        jwks=CONFIG.jwks,
    )

    assert refused(signed(), config).code == "invalid_token"


def test_a_key_that_is_not_there_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        verify(signed(NEXT), key_set(KEY, KEY), CONFIG, WALL)


def test_a_key_of_another_name_does_not_sign_for_one() -> None:
    assert refused(signed(NEXT, head={"kid": "one"})).code == "invalid_token"


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b'{"x":%b,"alg":"RS256"}', b'{"iss":"%b"}' % ISSUER.encode()),
        (b'{"alg":"RS256"}', b'{"x":%b,"iss":"http://x"}'),
    ],
)
def test_a_token_that_is_nested_without_end_is_refused(header: bytes, payload: bytes) -> None:
    deep = b"[" * 3000 + b"]" * 3000
    parts = [base64.urlsafe_b64encode(each.replace(b"%b", deep)).rstrip(b"=") for each in (header, payload)]
    token = b".".join([*parts, b"AA"])

    assert read_head(token) is None or refused(token).code == "invalid_token"


def test_claims_are_found_by_name_or_by_path() -> None:
    claims = ClaimNames(tenant="https://corp.example/tenant", team="realm.team")
    config = IssuerConfig(name="corp", issuer=ISSUER, audience=("llmproxy",), claims=claims, jwks=CONFIG.jwks)
    token = signed(**{"https://corp.example/tenant": 7, "realm": {"team": "search"}})

    assert verify(token, key_set(KEY), config, WALL).caller == Caller("7", "corp", (("team", "search"),))


def test_a_tokens_head_is_read() -> None:
    head = read_head(signed())

    assert head is not None
    assert (head.issuer, head.algorithm, head.key_id) == (ISSUER, "ES256", "one")


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"llmp-key",
        b"eyJ.eyJ",
        b"eyJ.eyJ.x.y.z",
        part({"alg": "ES256"}) + b"." + part({"sub": "nobody"}) + b".x",
        part({"alg": "ES256"}) + b"." + part({"iss": 7}) + b".x",
        b"eyJ." + b"x" * LONGEST + b".x",
    ],
)
def test_what_is_no_token_has_no_head(token: bytes) -> None:
    assert read_head(token) is None


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_are_read_without_a_fault(header: bytes, payload: bytes, signature: bytes) -> None:
    read_head(b"eyJ" + header + b"." + payload + b"." + signature)
