from __future__ import annotations

import pytest
from graphql import GraphQLSyntaxError, OperationDefinitionNode, parse
from graphql.utilities import strip_ignored_characters
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.graphql import BadDocument, Document, read_document


def _read(text: str) -> Document:
    return read_document(text, 64)


@pytest.mark.parametrize(
    "other",
    [
        "{a(x:1,y:2){b c}}",
        "\ufeff{ a ( x : 1 y : 2 ) {\r\n b, c } } # and so on",
        "{a(x:1 y:2){b#c\nc}}",
    ],
)
def test_what_says_nothing_makes_no_difference(other: str) -> None:
    assert _read(other) == _read("{ a(x: 1, y: 2) { b c } }")


@pytest.mark.parametrize(
    "other",
    ["{a(x:1,y:2){c b}}", "{a(x:1,y:3){b c}}", '{a(x:"1",y:2){b c}}', "{a(y:2,x:1){b c}}", "{a{b c}}"],
)
def test_what_says_something_does(other: str) -> None:
    assert _read(other) != _read("{a(x:1,y:2){b c}}")


def test_strings_are_kept_as_they_stand() -> None:
    assert _read('{a(x:"# no  comment")}').text == '{ a ( x : "# no  comment" ) }'
    assert _read('{a(x:"""a " b \\""" }  c""")}').text == '{ a ( x : """a " b \\""" }  c""" ) }'
    assert _read('{a(x:"")b}').text == '{ a ( x : "" ) b }'


def test_the_operations_of_a_document_are_told_apart() -> None:
    document = _read(
        "query A($x: X = {mutation: {a: 1}}) @d(a: {b: [{c: 1}]}) { mutation } "
        "fragment F on X { subscription } mutation B { b }"
    )

    assert document.kind_of("A") == "query"
    assert document.kind_of("B") == "mutation"
    assert document.kind_of(None) is None
    assert document.kind_of("C") is None
    assert _read("{a} fragment F on X {a}").kind_of(None) == "query"
    assert _read("{a} {b}").kind_of(None) is None
    assert _read("subscription @x {a}").kind_of(None) == "subscription"


@pytest.mark.parametrize(
    "text",
    [
        *("{", "{a", "{a)}", "}", "query", "type A { a: B }", "extend type A {a: B}", "{a} b", "{a}}"),
        *("{a(x: 01)}", "{a ? b}", '{a(x:"b)}', '{a(x:"""b)}', '{a(x:"b\nc")}', "{a(x: 1a)}"),
        "{" * 65 + "a" + "}" * 65,
    ],
)
def test_what_cannot_be_told_apart_is_no_document(text: str) -> None:
    with pytest.raises(BadDocument):
        _read(text)


def test_no_text_takes_long() -> None:
    for text in (
        '{a(x:"""' + '\\"""' * 20_000,
        "{a(x:" + '"' * 40_001,
        "#" * 50_000 + "\n" * 50_000,
        "{" * 50_000,
    ):
        with pytest.raises(BadDocument):
            _read(text + "?")


_NAMES = st.sampled_from(["a", "b", "query", "mutation", "fragment", "on", "_x1"])
_VALUES = st.recursive(
    st.sampled_from(["1", "-1.5e3", '"x # y"', '"""b " c"""', "$v", "true", "E", '""', '"\\""']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: "[" + " ".join(each) + "]"),
        st.lists(st.tuples(_NAMES, inner), max_size=3).map(
            lambda each: "{" + ", ".join(f"{name}: {value}" for name, value in each) + "}"
        ),
    ),
    max_leaves=5,
)
_FIELDS = st.recursive(
    st.tuples(_NAMES, st.lists(st.tuples(_NAMES, _VALUES), max_size=2)).map(
        lambda each: each[0] + ("(" + ",".join(f"{n}:{v}" for n, v in each[1]) + ")" if each[1] else "")
    ),
    lambda inner: st.tuples(_NAMES, st.lists(inner, min_size=1, max_size=3)).map(
        lambda each: f"{each[0]} {{ {' '.join(each[1])} }}"
    ),
    max_leaves=6,
)
_DEFINITIONS = st.tuples(
    st.sampled_from(["query", "mutation", "subscription", "fragment F on X", "", "query A", "mutation B @d"]),
    _FIELDS,
).map(lambda each: f"{each[0]} {{ {each[1]} }}")
_DOCUMENTS = st.lists(_DEFINITIONS, min_size=1, max_size=3).map("\n".join)


@given(text=_DOCUMENTS)
def test_a_parser_of_the_whole_grammar_finds_the_same_operations(text: str) -> None:
    parsed = [each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode)]

    assert [(each.kind, each.name) for each in _read(text).operations] == [
        (each.operation.value, None if each.name is None else each.name.value) for each in parsed
    ]


@given(text=_DOCUMENTS, other=_DOCUMENTS)
def test_documents_of_one_form_mean_the_same(text: str, other: str) -> None:
    lean = strip_ignored_characters(text)

    assert (_read(text).text == _read(other).text) == (lean == strip_ignored_characters(other))
    assert _read(text) == _read(lean) or '"""' in text


@given(text=st.text(st.sampled_from('query mutation{}()[]:$@#"\\\n,!.ab1-|='), max_size=40))
def test_no_text_is_taken_for_a_query_that_a_parser_would_take_for_something_else(text: str) -> None:
    try:
        document = _read(text)
    except BadDocument:
        return
    try:
        parsed = parse(text).definitions
    except GraphQLSyntaxError:
        return
    kinds = [each.operation.value for each in parsed if isinstance(each, OperationDefinitionNode)]

    assert [each.kind for each in document.operations] == kinds
