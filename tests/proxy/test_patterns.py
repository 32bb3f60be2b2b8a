from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.patterns import compile_path, has_dot_segment, normalise_path, plain_path


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/v1/*", "/v1/chat", {}),
        ("/v1/*", "/v1/", {}),
        ("/v1/*", "/v1", None),
        ("/*", "/", {}),
        ("/v1/{name}", "/v1/a", {"name": "a"}),
        ("/v1/{name}", "/v1/", None),
        ("/v1/{name}", "/v1/a/b", None),
        ("/v1/{name}", "/v1/a%2Fb", {"name": "a/b"}),
        ("/v1/{name}/x", "/v1/a/x", {"name": "a"}),
        ("/m/{model}:generate", "/m/gemini-2.5:generate", {"model": "gemini-2.5"}),
        ("/m/{model}:generate", "/m/:generate", None),
        ("/f/{rest...}", "/f/a//b%2Fc", {"rest": "a//b%2Fc"}),
        ("/f/{id}/{rest...}", "/f/a%20b/", {"id": "a b", "rest": ""}),
        ("/f/{id}/*", "/f/a/b", {"id": "a"}),
        ("/a.b", "/axb", None),
    ],
)
def test_a_pattern_matches_what_it_says(pattern: str, path: str, params: dict[str, str] | None) -> None:
    assert compile_path(pattern).match(normalise_path(path)) == params


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("v1", 'begins with "/"'),
        ("/v1?x", "a query, a fragment or a space"),
        ("/a b", "a query, a fragment or a space"),
        ("/a/{x}/{x}", "names a parameter twice"),
        ("/a/{x}-{y}", "two parameters in one segment"),
        ("/a*", "a wildcard in the wrong place"),
        ("/*/a", "a wildcard in the wrong place"),
        ("/{x...}/a", "a wildcard in the wrong place"),
        ("/{x", "a wildcard in the wrong place"),
        ("/{1}", "a wildcard in the wrong place"),
        ("/a/../b", "a dot segment"),
        ("/a/%2e", "a dot segment"),
    ],
)
def test_a_wrong_pattern_says_what_is_wrong(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_path(pattern)


def test_only_a_path_without_parameters_is_literal() -> None:
    assert compile_path("/v1/%61").literal == "/v1/a"
    assert compile_path("/v1/{x}").literal is None
    assert compile_path("/v1/*").literal is None


def test_the_longer_literal_prefix_is_more_specific() -> None:
    greatest_last = ["/*", "/v1/*", "/v1/{a}", "/v1/{a}/*", "/v1/{a}/x", "/v1/models/*"]
    patterns = greatest_last[::-1]

    assert sorted(patterns, key=lambda text: compile_path(text).specificity) == greatest_last


@pytest.mark.parametrize(
    ("path", "normalised"),
    [
        ("/a", "/a"),
        ("/%61%2D%7e", "/a-~"),
        ("/%2f%3a", "/%2F%3A"),
        ("/%zz%4", "/%zz%4"),
        ("/%2561", "/%2561"),
    ],
)
def test_only_unreserved_characters_are_decoded(path: str, normalised: str) -> None:
    """RFC 3986 section 6.2.2."""
    assert normalise_path(path) == normalised


@pytest.mark.parametrize(
    "path",
    [
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/%2e%2E/b",
        "/a/.%2e",
        "/a\\..\\b",
        "/a%2f..%2fb",
        "/a%5C..",
        "/a/..;x/b",
        "/a/..%3bx/b",
        "/a/..%00/b",
        "/a/%2e%2e%00",
        "/a/..%20/b",
        "/a/.%0d%0a",
        "/a/..%3fx",
        "/a/..%23",
    ],
)
def test_dot_segments_are_seen_however_they_are_written(path: str) -> None:
    assert has_dot_segment(normalise_path(path))


@pytest.mark.parametrize(
    "path", ["/", "/a.b", "/...", "/.well-known/x", "/a..b/c", "//", "/%252e%252e/", "/..%41", "/a.%00"]
)
def test_other_dots_are_no_dot_segments(path: str) -> None:
    assert not has_dot_segment(normalise_path(path))


@given(st.text(alphabet="abcXYZ019-._~", max_size=20))
def test_encoding_unreserved_characters_changes_nothing(text: str) -> None:
    encoded = "".join(f"%{ord(character):02x}" for character in text)

    assert normalise_path("/" + encoded) == "/" + text


@pytest.mark.parametrize(
    "path", ["/v1/files/a/content", "/v1//files/%61/content/", "/v1%2Ffiles/a/content//"]
)
def test_a_path_is_plain_however_it_is_spelled(path: str) -> None:
    assert plain_path(path) == "/v1/files/a/content"
