from __future__ import annotations

import pytest

from llmproxy_httpcache import requests
from llmproxy_httpcache.directives import NO_DEMANDS
from llmproxy_httpcache.headers import RawHeader
from llmproxy_httpcache.requests import Asked, read_request


def _read(
    *raw: RawHeader, method: str = "GET", spent: frozenset[bytes] = frozenset(), obey: bool = True
) -> Asked:
    return read_request(method, list(raw), {name.lower(): value for name, value in raw}, spent, obey=obey)


def test_a_plain_request_takes_any_fresh_answer() -> None:
    assert _read((b"Accept", b"*/*")).plain
    assert _read((b"Cache-Control", b"foo")).plain
    assert _read((b"Cache-Control", b"max-stale=3")).plain


def test_conditions_ranges_and_demands_are_looked_at() -> None:
    assert not _read((b"Cache-Control", b"max-age=0")).plain
    assert not _read((b"If-None-Match", b'"a"')).plain
    assert not _read((b"Range", b"bytes=0-1")).plain
    assert _read((b"If-Match", b'"a"')).precondition


def test_lines_of_a_condition_are_one() -> None:
    assert _read((b"If-None-Match", b'"a"'), (b"If-None-Match", b'"b"')).none_match == b'"a", "b"'


def test_a_range_means_something_with_get_alone() -> None:
    assert _read((b"Range", b"bytes=0-1"), method="HEAD").range is None


def test_what_was_meant_for_the_gateway_is_no_credential_for_the_origin() -> None:
    raw = (b"Authorization", b"Bearer x")

    assert _read(raw).authorized
    assert _read(raw).credentials == (raw,)
    assert not _read(raw, spent=frozenset({b"authorization"})).authorized
    assert not _read(raw, spent=frozenset({b"authorization"})).credentials


@pytest.mark.parametrize(
    "name",
    [
        b"Private-Token",
        b"X-Auth-Key",
        b"apikey",
        b"X_Api_Token",
        b"Ocp-Apim-Subscription-Key",
        b"X-Vault-Token",
        b"Session",
        b"X-Session-Id",
        b"X-Forwarded-User",
        b"X-User-Id",
        b"X-Client-Cert",
        b"Cf-Access-Jwt-Assertion",
        b"X-Amz-Security-Token",
        b"Signature",
        b"DPoP",
    ],
)
def test_names_hint_at_who_asks(name: bytes) -> None:
    for _ in range(2):
        assert _read((name, b"x")).hints == ((name, b"x"),)
    assert _read((name, b"x")).whole.hints
    assert not _read((name, b"x")).credentials
    assert not _read((name, b"x"), spent=frozenset({name.lower()})).hints


@pytest.mark.parametrize(
    "name",
    [
        b"User-Agent",
        b"Accept-Language",
        b"X-Request-Id",
        b"Idempotency-Key",
        b"Sec-Fetch-User",
        b"Referer",
        b"X-Stainless-OS",
        b"X-Custom",
    ],
)
def test_most_names_hint_at_nobody(name: bytes) -> None:
    assert not _read((name, b"x"), (b"If-None-Match", b"x")).hints


def test_names_that_callers_make_up_take_no_more_memory_than_there_is_for_them() -> None:
    for number in range(5000):
        assert _read((b"Made-Up-%d" % number, b"x")).plain

    assert len(requests._harmless) <= 4096
    assert not _read((b"Yet-Another", b"x"), (b"Cookie", b"a=b")).hints


def test_a_field_that_goes_no_further_than_the_gateway_makes_it_another_request_for_the_origin() -> None:
    language = (b"Accept-Language", b"de")

    assert _read((b"Connection", b"accept-language"), language).precondition
    assert _read((b"Connection", b"Accept-Language"), (b"Connection", b"keep-alive"), language).precondition
    for usual in (b"keep-alive", b"close", b"Keep-Alive, TE", b"x-not-there"):
        asked = _read((b"Connection", usual), (b"TE", b"trailers"), (b"Keep-Alive", b"5"), language)
        assert asked.plain
        assert not asked.precondition


def test_callers_need_not_be_obeyed() -> None:
    assert _read((b"Cache-Control", b"no-cache"), obey=False).control is NO_DEMANDS


def test_the_whole_is_asked_for_without_conditions() -> None:
    asked = _read((b"Range", b"bytes=0-1"), (b"If-None-Match", b'"a"'), (b"Cookie", b"a=b")).whole

    assert asked.range is None
    assert not asked.conditional
    assert asked.credentials == ((b"Cookie", b"a=b"),)


@pytest.mark.parametrize("field", [b"if-none-match", b"if-modified-since", b"range"])
def test_what_means_not_modified_to_a_get_is_for_the_origin_to_judge_in_a_post(field: bytes) -> None:
    raw = [(field, b"x")]

    assert read_request("POST", raw, dict(raw)).precondition
    assert not read_request("GET", raw, dict(raw)).precondition
