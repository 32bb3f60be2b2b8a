"""Rules of what decides an answer: which hold for a call."""

from __future__ import annotations

from llmproxy.keyrules import KeyRules, key_rules_of, rules_by_end
from llmproxy.testing import make_exchange


def test_a_dialect_without_rules_has_none() -> None:
    assert key_rules_of(make_exchange()) is None


def test_rules_are_found_by_the_first_end_that_fits() -> None:
    chat, rest = KeyRules(kind="chat"), KeyRules(kind="rest")

    rules_of = rules_by_end({"/chat/completions": chat, "/completions": rest})

    assert rules_of("/v1/chat/completions") is chat
    assert rules_of("/v1/completions") is rest
    assert rules_of("/v1/other") is None
