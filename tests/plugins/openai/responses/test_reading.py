from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmproxy.canonical import Losses
from llmproxy.plugin import BadField
from llmproxy_openai.responses import reading
from llmproxy_openai.responses.ids import item_id, response_id


@pytest.mark.parametrize(
    ("read", "good", "nothing", "bad"),
    [
        (reading.text, "a", "", 1),
        (reading.table, {"a": 1}, {}, []),
        (reading.array, [1], [], {}),
        (reading.whole, 3, None, 3.5),
        (reading.number, 0.5, None, "0.5"),
        (reading.flag, True, None, 1),
    ],
)
def test_a_member_is_read_or_named(
    read: Callable[[Any, str], Any], good: Any, nothing: Any, bad: Any
) -> None:
    assert read(good, "a.b") == good
    assert read(None, "a.b") == nothing
    with pytest.raises(BadField, match=r"'a\.b' must be") as caught:
        read(bad, "a.b")
    assert caught.value.param == "a.b"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert reading.whole(16.0, "a") == 16


@pytest.mark.parametrize("value", [None, "", 7])
def test_what_must_be_there_is_asked_for(value: Any) -> None:
    with pytest.raises(BadField):
        reading.needed(value, "a")


def test_what_nobody_reads_is_reported_if_it_says_something() -> None:
    losses = Losses()

    reading.unread({"a": 1, "b": 2, "c": None, "d": False, "e": {}}, ("a",), "x[]", losses)
    reading.unread({"f": 1}, (), "", losses)

    assert [loss.field for loss in losses] == ["x[].b", "x[].e", "f"]


def test_names_and_states_of_the_gateways_own_items_are_no_loss() -> None:
    losses = Losses()

    reading.unread_answer_marks(
        {"id": item_id("fc", response_id(), 0), "status": "completed"}, "input[]", losses
    )
    assert not len(losses)

    reading.unread_answer_marks({"id": "fc_1", "status": "incomplete"}, "input[]", losses)
    assert [loss.field for loss in losses] == ["input[].id", "input[].status"]
