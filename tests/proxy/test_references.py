from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.references import Interpolation, Resolved, Secret, quoted


class OpenSecret(Secret):
    __slots__ = ()
    accepts_literal = True


def read_file(path: str) -> str:
    if path == "/run/secrets/key":
        return "sk-file\n"
    if path == "/run/secrets/binary":
        return b"\xff".decode()
    raise FileNotFoundError(2, "No such file or directory", path)


def interpolate(tree: object, **environ: str) -> object:
    interpolation = Interpolation(environ, read_file)
    replaced = interpolation.replace(tree)
    assert interpolation.errors == []
    return replaced


def mistakes(tree: object) -> list[str]:
    interpolation = Interpolation({}, read_file)
    interpolation.replace(tree)
    return [str(error) for error in interpolation.errors]


def test_a_variable_is_replaced_anywhere_in_a_string() -> None:
    tree = interpolate({"a": ["http://${env:HOST}:${env:PORT}/v1", 3]}, HOST="h", PORT="1")

    assert tree == {"a": ["http://h:1/v1", 3]}


def test_a_default_stands_in_for_a_variable_that_is_not_set() -> None:
    assert interpolate("${env:A:-one}${env:B:-}", B="") == "one"


def test_a_set_variable_wins_over_the_default() -> None:
    assert interpolate("${env:A:-one}", A="two") == "two"


def test_a_file_is_read_without_its_last_line_break() -> None:
    assert interpolate("Bearer ${file:/run/secrets/key}") == "Bearer sk-file"


def test_what_a_variable_holds_is_not_looked_at_again() -> None:
    assert interpolate("${env:A}", A="${env:B}") == "${env:B}"


def test_a_doubled_dollar_is_a_plain_one() -> None:
    replaced = interpolate("$${env:A} costs $5")

    assert replaced == "${env:A} costs $5"
    assert not isinstance(replaced, Resolved)


def test_a_replaced_string_remembers_how_it_was_written() -> None:
    replaced = interpolate("x-${env:A}", A="secret")

    assert isinstance(replaced, Resolved)
    assert replaced.reference == "x-${env:A}"
    assert repr(replaced) == "'x-${env:A}'"


def test_every_reference_that_fails_is_told_with_its_key_path() -> None:
    tree = {
        "upstreams": {"gpt-4.1": {"api_key": "${env:NOPE}"}},
        "files": ["${file:/gone}", "${file:/run/secrets/binary}"],
    }

    assert mistakes(tree) == [
        'upstreams["gpt-4.1"].api_key: environment variable "NOPE" is not set',
        'files[0]: file "/gone" cannot be read: No such file or directory',
        'files[1]: file "/run/secrets/binary" is not UTF-8 text',
    ]


@pytest.mark.parametrize("text", ["${NOPE}", "${env:}", "${env:1A}", "${file:}", "${env:A", "${vault:x}"])
def test_what_is_no_reference_is_refused_with_the_forms_there_are(text: str) -> None:
    [message] = mistakes({"k": text})

    assert message.startswith(f'k: "{text}" is not a reference; write ${{env:NAME}}, ')


def test_a_tree_without_end_is_refused() -> None:
    tree: list[object] = []
    tree.append(tree)

    [message] = mistakes(tree)
    assert message.endswith("nested deeper than 64 levels")


def test_a_secret_is_shown_as_its_reference() -> None:
    secret = Secret.from_plain(interpolate("Bearer ${env:KEY}", KEY="sk-1"))

    assert secret.reveal() == "Bearer sk-1"
    assert f"{secret} {secret!r}" == "Bearer ${env:KEY} Secret(Bearer ${env:KEY})"


def test_a_secret_made_in_code_shows_nothing() -> None:
    assert str(Secret("sk-1")) == "***"


def test_secrets_are_equal_by_value() -> None:
    assert Secret("a", "x") == Secret("a", "y")
    assert hash(Secret("a", "x")) == hash(Secret("a", "y"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_secret_is_never_serialised() -> None:
    with pytest.raises(TypeError, match="never serialised"):
        copy.copy(Secret("a"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sk-literal", "a secret is not written out; write it as ${env:NAME} or ${file:PATH}"),
        (Resolved(" ", "${env:KEY}"), "the secret is empty"),
        (Resolved("sk-literal", "${env:KEY:-sk-literal}", has_default=True), "a secret takes no default"),
        (12345, "expected a string that holds a reference"),
    ],
)
def test_what_must_not_be_a_secret_is_refused_without_repeating_it(value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is checked below
        Secret.from_plain(value)

    assert str(caught.value).startswith(message)
    assert "literal" not in str(caught.value)


def test_a_kind_of_secret_may_accept_being_written_out() -> None:
    secret = OpenSecret.from_plain("local")

    assert secret.reveal() == "local"
    assert "local" not in repr(secret)


def test_a_quoted_string_is_one_short_line() -> None:
    assert quoted("a\nb") == '"a b"'
    assert quoted("x" * 100) == '"' + "x" * 57 + '..."'
    assert quoted(Resolved("v", "${env:A}")) == '"${env:A}"'


@given(st.text())
def test_text_without_references_stays_as_it_is(text: str) -> None:
    assert interpolate(text.replace("${", "$${")) == text
