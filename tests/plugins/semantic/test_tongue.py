"""Whether a text is told to be English."""

from __future__ import annotations

import pytest

from llmproxy_semantic.tongue import told_english, told_small


@pytest.mark.parametrize(
    ("small", "english", "may_be_small"),
    [
        ("what is the capital of france?", True, True),
        ("explain dns", True, True),
        ("is john a german analyst?", True, False),
        ("was ist eine weise?", False, False),
        ("was ist the voice?", False, False),
        ("\u0131\u015f\u0131k nedir?", False, False),
        ("weise bedeutung", False, False),
        ("\u72d7\u53ef\u4ee5\u5403\u5de7\u514b\u529b\u5417", False, False),
        ("", False, False),
    ],
)
def test_a_text_tells_its_language(small: str, english: bool, may_be_small: bool) -> None:
    assert told_english(small) is english
    assert told_small(small) is may_be_small
