from __future__ import annotations

import pytest

from llmproxy_rewrite.edits import Edits


def test_no_edits_are_none() -> None:
    assert not Edits()


@pytest.mark.parametrize(
    "edits", [Edits(["a"]), Edits(rename={"a": "b"}), Edits(set_={"a": "b"}), Edits(add={"a": "b"})]
)
def test_any_edit_counts(edits: Edits) -> None:
    assert edits


def test_values_are_templates() -> None:
    [(name, template)] = Edits(set_={"a": "{path.id}"}).set

    assert name == "a"
    assert template.fill(lambda kind, name: "7") == "7"
