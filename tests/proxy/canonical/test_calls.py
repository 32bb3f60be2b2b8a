import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Losses
from llmproxy.canonical.calls import arguments_object, fitting_id, one_spelling


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        (" ", {}),
        ("null", {}),
        ("{}", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"arguments": [1]}),
        ("{x", {"arguments": "{x"}),
    ],
)
def test_arguments_are_always_an_object(arguments, expected):
    losses = Losses()

    assert arguments_object(arguments, losses) == arguments_object(arguments) == expected
    assert bool(losses) == ("arguments" in expected)


@given(st.text())
def test_every_id_fits_and_is_the_same_each_time(name):
    fits = re.compile("[a-z0-9_]{1,40}")

    made = fitting_id(name, fits, "call_")

    assert fits.fullmatch(made)
    assert made == fitting_id(name, fits, "call_")
    assert (made == name) == bool(fits.fullmatch(name))


def test_arguments_read_and_written_anew_are_spelled_alike():
    assert one_spelling('{"b": 1.0, "a": [2.50]}') == one_spelling('{"a":[2.5],"b":1}')
    assert one_spelling("") == "{}"
    assert one_spelling("{not json") == "{not json"
