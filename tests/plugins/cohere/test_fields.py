from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import BadField
from llmproxy_cohere.fields import texts


def test_a_list_of_strings_is_taken_and_nothing_is_an_empty_one() -> None:
    assert texts({"x": ["a", "b"]}, "x") == ("a", "b")
    assert texts({"x": None}, "x") == texts({}, "x") == ()


@pytest.mark.parametrize("bad", ["a", [1], {}, 0])
def test_anything_else_is_refused_by_its_place(bad: Any) -> None:
    with pytest.raises(BadField) as refused:
        texts({"x": bad}, "x")

    assert refused.value.param == "x"
