"""Texts that count as they are written."""

from __future__ import annotations

import pytest

from llmproxy_semantic.verbatim import brought, counts_as_written


@pytest.mark.parametrize(
    ("text", "as_written"),
    [
        ("How do you spell colour?", True),
        ("Translate thanks", True),
        ("Rate my email", True),
        ("Let us eat, Ann: where does the comma go?", True),
        ("def F(x): return X", True),
        ("for (i = 0;\n  a[i];)", True),
        ("What is the capital of France?", False),
        ("Write 200 words about Rome", False),
    ],
)
def test_texts_about_words_and_code_count_as_written(text: str, as_written: bool) -> None:
    assert counts_as_written(text) is as_written


@pytest.mark.parametrize(
    ("text", "head"),
    [("Sum up: A b", "Sum up"), ("Sum up\nA b", "Sum up"), ("At 5:30?", "At 5:30?"), ("Why?", "Why?")],
)
def test_a_text_may_bring_another_along(text: str, head: str) -> None:
    assert text[: brought(text)] == head
