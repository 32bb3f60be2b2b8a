from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import ConfigErrors
from llmproxy.formats import Format, format_of, parse

TREES = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


#: Some hundred bytes that stand for a hundred million empty lists.
BOMB = "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


def mistake(text: str | bytes, format: Format) -> str:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, format, "f")
    [error] = caught.value.errors
    return str(error)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.yaml", "yaml"), ("a.yml", "yaml"), ("a.TOML", "toml"), ("x/a.json", "json"), ("-", "yaml")],
)
def test_the_format_is_told_by_the_name(name: str, format: Format) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("server: {backlog: 7}\nlisten: [a, b]", "yaml"),
        ('listen = ["a", "b"]\n[server]\nbacklog = 7', "toml"),
        ('{"listen": ["a", "b"], "server": {"backlog": 7}}', "json"),
        (b"\xef\xbb\xbfserver: {backlog: 7}\nlisten: [a, b]", "yaml"),
    ],
)
def test_all_formats_give_the_same_tree(text: str | bytes, format: Format) -> None:
    assert parse(text, format) == {"listen": ["a", "b"], "server": {"backlog": 7}}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_an_empty_configuration(text: str) -> None:
    assert parse(text, "yaml") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("2024-10-21", "2024-10-21"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("true", True),
        ("-5", -5),
        ("0x1f", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("", None),
        ("'5'", "5"),
    ],
)
def test_yaml_scalars_are_what_they_look_like(text: str, value: Any) -> None:
    """YAML 1.2, section 10.3.2."""
    assert parse(f"k: {text}", "yaml") == {"k": value}


def test_a_yaml_anchor_can_be_merged_and_overridden() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}"

    assert parse(text, "yaml")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "format", "message"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "yaml", 'f:3: duplicate key "c"'),
        ('{"a": 1,\n"\\u0061": 2}', "json", 'f: duplicate key "a" on line 2'),
        ("a = 1\na = 2", "toml", "f: not TOML: Cannot overwrite a value"),
        ("a: [1", "yaml", "f:2: did not find expected"),
        ('{"a"', "json", "f: not JSON: unexpected end of data"),
        ("a = ", "toml", "f: not TOML: Invalid value"),
        (b"a: \xff", "yaml", "f: not YAML: 'utf-8' codec can't decode"),
        ("a: \x00", "yaml", "f: not YAML: "),
        ("- 1", "yaml", "f: the whole of it is not a mapping"),
        ("a: [{200: x}]", "yaml", 'f: the key 200 is not text; write it in quotes, "200"'),
        ("? [1]\n: 2", "yaml", "f:1: a key is not text"),
        ("a: !!python/name:os.system x", "yaml", "f:1: could not determine a constructor"),
        ("a: " + "[" * 100_000, "yaml", "f: nested deeper than 64 levels"),
        (BOMB, "yaml", "f: holds more than 1000000 values, aliases followed"),
        ("a: &a [*a]", "yaml", "f: nested too deeply"),
    ],
)
def test_a_mistake_in_the_text_is_one_line_with_its_place(
    text: str | bytes, format: Format, message: str
) -> None:
    told = mistake(text, format)

    assert told.startswith(message)
    assert "\n" not in told


def test_equal_keys_in_different_objects_are_no_duplicates() -> None:
    text = '{"a": {"b": [{"x": 1}, {"x": "}:{\\""}]}, "x": {}, "b": 1}'

    assert parse(text, "json") == orjson.loads(text)


@given(TREES)
def test_json_without_duplicates_is_read_as_it_is(tree: dict[str, Any]) -> None:
    assert parse(orjson.dumps(tree, option=orjson.OPT_INDENT_2), "json") == tree
