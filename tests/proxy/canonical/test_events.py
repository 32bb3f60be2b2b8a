import typing

import pytest

from llmproxy.canonical import BlockStarted, Delta, Finished, Started, StreamEvent, Text


def test_events_stay_what_they_are():
    with pytest.raises(AttributeError):
        Delta(0, "a").text = "b"


def test_every_event_is_one_of_the_kinds_that_encoders_know():
    kinds = {kind.__name__ for kind in typing.get_args(StreamEvent)}

    told = "Started BlockStarted Delta Signed Cited BlockEnded Finished Counted Failed Ping"
    assert kinds == set(told.split())


def test_what_belongs_to_a_choice_is_of_the_first_unless_it_says_otherwise():
    assert BlockStarted(3, Text(text="")).choice == Finished("stop").choice == 0


def test_usage_at_the_start_is_told_by_some_only():
    assert Started().usage is None
