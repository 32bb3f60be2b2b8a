from __future__ import annotations

import pytest

from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.invalidating import NOTHING, Invalidation, invalidate, same_origin

ORIGIN = "http://example.com"


def _invalidate(*raw: RawHeader, method: str = "POST", status: int = 200) -> Invalidation:
    return invalidate(method, ORIGIN, "/a?x", status, Fields(list(raw)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "UNHEARD-OF"])
def test_unsafe_and_unknown_methods_invalidate_their_target(method: str) -> None:
    assert _invalidate(method=method) == Invalidation(("/a?x",))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"])
def test_safe_methods_invalidate_nothing(method: str) -> None:
    assert _invalidate(method=method) is NOTHING


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
def test_errors_invalidate_nothing(status: int) -> None:
    assert _invalidate(status=status) is NOTHING


def test_what_the_answer_points_to_is_gone_too_on_the_same_origin() -> None:
    found = _invalidate(
        (b"Location", b"http://EXAMPLE.com:80/b"), (b"Content-Location", b"c?d=1"), status=201
    )

    assert found.targets == ("/a?x", "/b", "/c?d=1")
    assert _invalidate((b"Location", b"http://other.com/b")).targets == ("/a?x",)


@pytest.mark.parametrize(
    "reference",
    [
        "//other.com/b",
        "https://example.com/b",
        "http://example.com:81/b",
        "mailto:a@b",
        "http://[",
        "http://example.com:x/",
    ],
)
def test_other_origins_are_left_alone(reference: str) -> None:
    assert same_origin(ORIGIN, "/a", reference) is None


def test_groups_are_gone() -> None:
    assert _invalidate((b"Cache-Group-Invalidation", b'"g", "h"')).groups == ("g", "h")
    assert _invalidate((b"Cache-Group-Invalidation", b'"g"'), method="GET") is NOTHING
