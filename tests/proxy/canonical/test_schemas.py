import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Format, Losses
from llmproxy.canonical.schemas import asked_in_words, taken

CLOSED = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "format": "date"},
        "b": {"type": "array", "items": {"type": "null"}},
    },
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"x": {"enum": [1, 2]}},
}


def test_what_anthropic_takes_is_the_very_same_object():
    assert taken(CLOSED) is CLOSED


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, {"type": "object", "additionalProperties": False}),
        ({"properties": {}}, {"properties": {}, "additionalProperties": False}),
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "additionalProperties": False},
        ),
        ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}),
        (
            {"type": "string", "description": "D.", "pattern": "^a", "maxLength": 3},
            {"type": "string", "description": "D.\n\n{pattern: ^a, maxLength: 3}"},
        ),
        ({"type": "string", "format": "phone"}, {"type": "string", "description": "{format: phone}"}),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 1}),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "{minItems: 2}"}),
        ({"$schema": "x", "type": "null"}, {"type": "null"}),
        (
            {"anyOf": [{"type": "object"}], "$defs": {"d": {"type": "object"}}},
            {
                "anyOf": [{"type": "object", "additionalProperties": False}],
                "$defs": {"d": {"type": "object", "additionalProperties": False}},
            },
        ),
    ],
    ids=str,
)
def test_the_rest_is_closed_or_told_in_words(schema, expected):
    assert taken(schema) == expected


JSON = st.recursive(
    st.none() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "anyOf", "oneOf", "$defs", "format"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "minItems"]), JSON))
def test_odd_schemas_are_settled_at_once(schema):
    once = taken(schema)

    assert taken(once) == once


def test_a_schema_without_end_has_one():
    deep = schema = {}
    for _ in range(500):
        deep["items"] = deep = {}

    assert taken(schema) is not None


def test_a_model_without_a_mode_is_asked_for_json_in_words():
    losses = Losses()

    plain = asked_in_words(Format(kind="json"), losses)
    shown = asked_in_words(Format(kind="schema", schema={"type": "null"}), losses)

    assert shown.startswith(plain)
    assert shown.endswith('{"type":"null"}')
    assert [loss.field for loss in losses] == ["format", "format.schema"]
