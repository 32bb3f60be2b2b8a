"""What a form is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.forms import Form, Retells, calls_of

FORMS = st.builds(
    Form,
    st.sampled_from(["toy", "dots"]),
    st.sampled_from(["", "say"]),
    st.booleans(),
    st.sampled_from(["", "bare"]),
    st.booleans(),
)


@given(FORMS)
def test_who_translated_it_makes_no_other_form(form):
    assert form.same(form._replace(translated=not form.translated))


@given(FORMS, FORMS)
def test_forms_are_the_same_both_ways(one, other):
    assert one.same(other) == other.same(one)
    assert one.same(other) == (one._replace(translated=False) == other._replace(translated=False))


def test_the_dialect_the_call_the_stream_and_the_manner_make_another_form():
    form = Form("toy", "say")

    for other in (
        form._replace(wire="dots"),
        form._replace(call="ask"),
        form._replace(streamed=True),
        form._replace(manner="bare"),
    ):
        assert not form.same(other)


def test_a_face_without_calls_answers_in_nobodys_form():
    assert calls_of(object()) == {}


def test_a_face_retells_if_it_has_both_methods():
    class Half:
        def form(self) -> None: ...

    class Whole(Half):
        def retell(self) -> None: ...

    assert not isinstance(Half(), Retells)
    assert isinstance(Whole(), Retells)
