from __future__ import annotations

from llmproxy.commands.tables import table


def test_cells_are_aligned_and_numbers_stand_right() -> None:
    text = table(("name", "n"), [("a", "1"), ("longer", "100")], right=frozenset({1}))

    assert text.splitlines() == ["name      n", "a         1", "longer  100"]


def test_a_table_may_be_empty() -> None:
    assert table(("name",), []) == "name"
