from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_cors.origins import Origins


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("https://APP.example", "https://app.example"),
        ("http://app.example:8080", "http://app.example:8080"),
        ("https://*.app.example", "https://a.app.example"),
        ("https://*.app.example", "https://a.b.app.example"),
        ("https://*.app.example:*", "https://a.app.example:8443"),
        ("http://localhost:*", "http://localhost:3000"),
        ("http://localhost:*", "http://localhost"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("vscode-webview://abc", "vscode-webview://abc"),
        ("*", "https://any.example"),
        ("*", "null"),
    ],
)
def test_a_named_origin_is_taken(pattern: str, origin: str) -> None:
    assert Origins([pattern]).take(origin)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://app.example", "http://app.example"),
        ("https://app.example", "https://app.example:8443"),
        ("https://app.example", "https://app.example.evil"),
        ("https://app.example", "https://evil-app.example"),
        ("https://app.example", "https://APP.example"),
        ("https://app.example", "null"),
        ("https://app.example", ""),
        ("https://*.app.example", "https://app.example"),
        ("https://*.app.example", "https://evilapp.example"),
        ("https://*.app.example", "https://.app.example"),
        ("https://*.app.example", "https://evil.example/.app.example"),
        ("https://*.app.example", "https://evil.example#.app.example"),
        ("https://*.app.example", "https://user@evil.app.example"),
        ("https://*.app.example", "https://a.app.example:81"),
        ("https://*.app.example", "null"),
        ("http://localhost:*", "http://localhost.evil:3000"),
        ("http://localhost:*", "http://localhost:3000@evil"),
        ("http://localhost:*", "http://localhost:"),
    ],
)
def test_no_other_one_is(pattern: str, origin: str) -> None:
    assert not Origins([pattern]).take(origin)


@pytest.mark.parametrize(
    "pattern",
    ["null", "NULL", "app.example", "https://app.example/", "https://*", "https://a.*.b", "", "https://"],
)
def test_what_is_no_origin_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Origins([pattern])


@given(st.text())
def test_no_text_at_all_passes_for_a_host_below(text: str) -> None:
    taken = Origins(["https://*.app.example"]).take(text)

    assert not taken or (
        text.startswith("https://") and text.endswith(".app.example") and "/" not in text[8:]
    )
