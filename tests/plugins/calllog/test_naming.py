from hypothesis import given
from hypothesis import strategies as st

from llmproxy_calllog.naming import named


def test_a_short_name_is_as_it_is():
    assert named("x" * 199) == "x" * 199


def test_long_names_that_begin_alike_stay_two():
    one, two = named("x" * 300 + "1"), named("x" * 300 + "2")

    assert one != two
    assert {len(one), len(two)} == {200}


def test_what_is_no_unicode_can_be_written():
    assert named("a\udcff").encode() == b"a\\udcff"


@given(st.text(min_size=190, max_size=400))
def test_no_name_is_taken_for_one_that_was_cut(text):
    assert named(named(text)) != named(text) or named(text) == text
    assert len(named(text)) <= 200
