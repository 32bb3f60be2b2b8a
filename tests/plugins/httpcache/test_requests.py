from __future__ import annotations

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


def test_callers_need_not_be_obeyed() -> None:
    assert _read((b"Cache-Control", b"no-cache"), obey=False).control is NO_DEMANDS


def test_the_whole_is_asked_for_without_conditions() -> None:
    asked = _read((b"Range", b"bytes=0-1"), (b"If-None-Match", b'"a"'), (b"Cookie", b"a=b")).whole

    assert asked.range is None
    assert not asked.conditional
    assert asked.credentials == ((b"Cookie", b"a=b"),)
