from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.lately import Lately


@given(st.lists(st.integers(0, 30)))
def test_what_is_found_is_what_was_kept_last(keys: list[int]) -> None:
    lately, kept = Lately[int, int](4), dict[int, int]()
    for turn, key in enumerate(keys):
        found = lately[key]
        assert found is None or found == kept[key]
        lately.keep(key, turn)
        kept[key] = turn


@given(st.lists(st.integers(0, 30)))
def test_no_more_than_twice_as_many_are_remembered(keys: list[int]) -> None:
    lately = Lately[int, int](4)
    for key in keys:
        lately.keep(key, key)

    assert sum(lately[key] is not None for key in list(range(31))) <= 8


def test_the_last_ones_are_remembered() -> None:
    lately = Lately[int, int](4)
    for key in range(100):
        lately.keep(key, key)

    assert [lately[key] for key in range(96, 100)] == [96, 97, 98, 99]


def test_what_is_asked_for_again_and_again_stays() -> None:
    lately = Lately[int, int](4)
    lately.keep(-1, -1)
    for key in range(100):
        lately.keep(key, key)
        assert lately[-1] == -1


def test_all_is_forgotten_at_once() -> None:
    lately = Lately[int, int](2)
    for key in range(4):
        lately.keep(key, key)
    lately.clear()

    assert [lately[key] for key in range(4)] == [None] * 4
