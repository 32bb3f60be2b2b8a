from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import ANONYMOUS, Caller, ClientRequest, Headers
from llmproxy_idempotency.fingerprint import fingerprint, identity

KNOWN = Caller("shop", "web")

requests = st.tuples(
    st.sampled_from(["POST", "PATCH", "PUT"]),
    st.sampled_from(["/", "/pay", "/pay?a=1", "/pay/1"]),
    st.sampled_from(["", "application/json", "text/plain", "multipart/form-data; boundary=x"]),
    st.binary(max_size=40) | st.sampled_from([b"{}", b"--x", b"--x--", b"----"]),
)


def print_of(
    method: str = "POST",
    target: str = "/pay",
    kind: str = "application/json",
    body: bytes = b"{}",
    caller: Caller = KNOWN,
    **headers: str,
) -> bytes:
    fields = {"Content-Type": kind} if kind else {}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return fingerprint(ClientRequest(method, target, Headers.of(fields)), body, caller)


@given(requests, requests)
def test_equal_requests_have_equal_prints_and_others_another(
    one: tuple[str, str, str, bytes], two: tuple[str, str, str, bytes]
) -> None:
    same = one == two
    forms = one[:3] == two[:3] and one[2].startswith("multipart") and b"--x" in one[3] + two[3]

    assert forms or (print_of(*one) == print_of(*two)) == same


def test_what_sdks_change_from_try_to_try_does_not_count() -> None:
    first = print_of(x_stainless_retry_count="0", traceparent="00-1", user_agent="a", date="1")

    assert first == print_of(x_stainless_retry_count="1", traceparent="00-2", user_agent="b", accept="x")


@given(st.text("abcdef0123456789", min_size=8, max_size=40), st.text("ghijkl", min_size=8, max_size=40))
def test_a_form_is_the_same_under_another_boundary(one: str, two: str) -> None:
    def form(boundary: str, amount: str = "5", quoted: str = "") -> bytes:
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n{amount}\r\n--{boundary}--\r\n'
        )
        kind = f"multipart/form-data; boundary={quoted}{boundary}{quoted}"
        return print_of(kind=kind, body=body.encode())

    assert form(one) == form(two) == form(two, quoted='"')
    assert form(one) != form(two, "6")


def test_a_compressed_body_is_not_the_same_bytes_uncompressed() -> None:
    assert print_of() != print_of(content_encoding="gzip")


def test_credentials_count_where_nobody_said_who_calls() -> None:
    for name in ("authorization", "x_api_key", "api_key", "x_goog_api_key", "cookie"):
        one, two = ({name: value, "caller": ANONYMOUS} for value in ("a", "b"))

        assert print_of(**one) != print_of(**two)  # type: ignore[arg-type]
        assert print_of(**{name: "a"}) == print_of(**{name: "b"})  # type: ignore[arg-type]


def test_one_credential_is_not_taken_for_another() -> None:
    assert identity(Headers.of({"x-api-key": "a"})) != identity(Headers.of({"api-key": "a"}))
    assert identity(Headers.of({"api-key": "a:1b"})) != identity(
        Headers.of([("api-key", "a"), ("api-key", "b")])
    )
