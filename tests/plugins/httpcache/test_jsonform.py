from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.jsonform import DEEPEST, NoForm, elements_of, form_of, members_of

_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False)
)
_NAMES = st.text(
    st.characters(exclude_characters='"\\', min_codepoint=0x20, exclude_categories=["Cs"]), max_size=5
)
_VALUES = st.recursive(
    _LEAVES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=10,
)


@given(value=_VALUES)
def test_the_form_means_what_was_said(value: object) -> None:
    form = form_of(orjson.dumps(value, option=orjson.OPT_INDENT_2))

    assert orjson.loads(form) == orjson.loads(orjson.dumps(value))
    assert form_of(form) == form


@given(one=_VALUES, other=_VALUES)
def test_what_means_the_same_has_one_form_and_what_does_not_has_not(one: object, other: object) -> None:
    forms = [form_of(orjson.dumps(value)) for value in (one, other)]
    told = [orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in (one, other)]

    assert (forms[0] == forms[1]) == (told[0] == told[1])


def test_numbers_keep_their_spelling_so_that_no_two_become_one() -> None:
    assert form_of(b"12345678901234567890123") != form_of(b"12345678901234567890124")
    assert form_of(b"1.0") != form_of(b"1")
    assert form_of(b' {"b" : [ 1 , 2.50 ] , "a" :{ } } ') == b'{"a":{},"b":[1,2.50]}'


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"{",
            b'{"a":1,"a":2}',
            b'{"a":{"b":1,"b":1}}',
            b'{"\\u0061":1}',
            b'["\xff"]',
            b"NaN",
            b"{} {}",
        ),
        *(b"{'a':1}", b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2)),
    ],
)
def test_what_may_be_read_in_two_ways_has_no_form(text: bytes) -> None:
    with pytest.raises(NoForm):
        form_of(text)


def test_an_object_gives_its_members_and_a_list_its_elements() -> None:
    assert members_of(b'{"b": {"d":1, "c":2}, "a": "x"}') == {"b": b'{"c":2,"d":1}', "a": b'"x"'}
    assert elements_of(b'[1, {"b":1,"a":2}]') == [b"1", b'{"a":2,"b":1}']
    for read, text in ((members_of, b"[1]"), (elements_of, b"{}")):
        with pytest.raises(NoForm):
            read(text)
