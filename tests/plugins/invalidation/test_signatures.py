import base64
from hashlib import sha256
from hmac import new

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import GatewayError, Headers
from llmproxy_invalidation.signatures import check_bearer, check_signature, signing_key

KEY = b"0123456789abcdef"
NOW = 1_700_000_000.0


def signature(body: bytes, key: bytes = KEY, *, name: str = "msg_1", stamp: str = "1700000000") -> str:
    made = new(key, f"{name}.{stamp}.".encode() + body, sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def signed(body: bytes, *, stamp: str = "1700000000", given: str | None = None, key: bytes = KEY) -> Headers:
    return Headers.of(
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": stamp,
            "webhook-signature": signature(body, key, stamp=stamp) if given is None else given,
        }
    )


def refusal(headers: Headers, body: bytes = b"{}", keys: tuple[bytes, ...] = (KEY,)) -> str:
    with pytest.raises(GatewayError) as caught:
        check_signature(headers, body, keys, NOW, 300)
    assert caught.value.status == 401
    return caught.value.code


def test_the_example_of_the_specification_passes() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = Headers.of(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }
    )

    check_signature(headers, b'{"test": 2432232314}', [signing_key(secret)], 1614265330, 300)


@given(st.binary(max_size=50))
def test_what_a_known_key_has_signed_passes(body: bytes) -> None:
    check_signature(signed(body), body, [b"another key......", KEY], NOW, 300)


def test_one_of_several_signatures_is_enough() -> None:
    given = f"v1a,xx v1,AAAA {signature(b'{}')} v1,BBBB"

    check_signature(signed(b"{}", given=given), b"{}", [KEY], NOW, 300)


@pytest.mark.parametrize("given", ["v1,AAAA", "v1,", "v2," + signature(b"{}")[3:], signature(b"{}")[3:], "ö"])
def test_another_signature_does_not(given: str) -> None:
    assert refusal(signed(b"{}", given=given)) == "wrong_signature"


def test_neither_does_another_body_or_key() -> None:
    assert refusal(signed(b"{}"), b"{ }") == "wrong_signature"
    assert refusal(signed(b"{}", key=b"another key......")) == "wrong_signature"


@pytest.mark.parametrize("stamp", ["1699999699", "1700000301", "-1", "x", "17e8", "1" * 40])
def test_an_old_signature_does_not_pass_again(stamp: str) -> None:
    assert refusal(signed(b"{}", stamp=stamp)) == "stale_signature"


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_all_three_fields_are_needed(missing: str) -> None:
    headers = signed(b"{}")
    headers.remove(missing)

    assert refusal(headers) == "unsigned"


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic dG9rZW4=", "token-of-some-length"])
def test_a_bearer_has_the_token_or_is_refused(given: str) -> None:
    check_bearer(Headers.of({"Authorization": "bearer token-of-some-length"}), [b"token-of-some-length"])

    with pytest.raises(GatewayError):
        check_bearer(Headers.of({"Authorization": given} if given else {}), [b"token-of-some-length"])


def test_a_secret_may_be_base64_or_itself() -> None:
    assert signing_key("whsec_" + base64.b64encode(KEY).decode()) == KEY
    assert signing_key(KEY.decode()) == KEY
    with pytest.raises(ValueError, match="base64"):
        signing_key("whsec_!")
