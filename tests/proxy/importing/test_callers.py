"""The master key of a LiteLLM file."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.callers import read_access
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.walking import Note, Walk


def read(settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    notes: list[Note] = []
    access = read_access(Walk(settings, "general_settings", notes), KeyRefs(settings, notes))
    return access, " ".join(note.text for note in notes)


def test_without_one_everybody_on_this_machine_may_ask() -> None:
    access, told = read({})

    assert access == {"mode": "open"}
    assert "everybody" in told


@pytest.mark.parametrize(
    ("given", "variable", "word"),
    [
        ("os.environ/MY_MASTER", "MY_MASTER", "for callers"),
        ("sk-canary-master-key", "LITELLM_MASTER_KEY", "was not copied"),
        ("sk-1234", "LITELLM_MASTER_KEY", "could be guessed"),
    ],
)
def test_it_becomes_a_key_of_callers_by_reference(given: str, variable: str, word: str) -> None:
    access, told = read({"master_key": given})

    assert access == {"keys": [{"name": "master", "tenant": "default", "key": f"${{env:{variable}}}"}]}
    assert word in told
    assert "canary" not in told
