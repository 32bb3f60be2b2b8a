from __future__ import annotations

import pytest

from llmproxy.keypaths import join_key, join_paths


@pytest.mark.parametrize(
    ("path", "key", "joined"),
    [("", "a", "a"), ("a", "b-c", "a.b-c"), ("models", "gpt-4.1", 'models["gpt-4.1"]'), ("", "", '[""]')],
)
def test_a_key_is_quoted_when_it_could_be_misread(path: str, key: str, joined: str) -> None:
    assert join_key(path, key) == joined


@pytest.mark.parametrize(
    ("path", "rest", "joined"),
    [("a", "b", "a.b"), ("a", "[0]", "a[0]"), ("", "b", "b"), ("a", "", "a")],
)
def test_paths_are_joined(path: str, rest: str, joined: str) -> None:
    assert join_paths(path, rest) == joined
