from __future__ import annotations

import pytest

from llmproxy.plugin import ConfigError
from llmproxy.references import Resolved
from llmproxy_declared.sources import (
    GENERATE,
    references_in,
    sources_of,
    text_template,
    value_template,
)


def test_what_a_template_refers_to_is_known():
    text, value = (
        text_template("/m/{model}", "path", GENERATE),
        value_template(["{prompt}", {"a": "{n|1}"}], "body", GENERATE),
    )

    assert sources_of([text, value, None]) == {"model", "prompt", "n"}


@pytest.mark.parametrize(
    ("body", "path", "near"),
    [
        ({"a": {"b": ["{temprature}"]}}, "body.a.b[0]", "temperature"),
        ({"a": "{max_token}"}, "body.a", "max_tokens"),
        ({"a": "{zzz}"}, "body.a", None),
    ],
)
def test_an_unknown_value_is_told_with_its_place_and_the_nearest(body, path, near):
    with pytest.raises(ConfigError) as caught:
        value_template(body, "body", GENERATE)

    assert (caught.value.path, caught.value.suggestion) == (path, near)


def test_what_is_no_text_stands_alone():
    with pytest.raises(ConfigError, match="is no text"):
        text_template("Tools: {tools}", "body.x", GENERATE)

    assert text_template("Said: {messages/0/content}", "body.x", GENERATE)


@pytest.mark.parametrize("text", ["{", "{prompt", "{}", "a}"])
def test_braces_that_mean_nothing_are_told(text):
    with pytest.raises(ConfigError):
        text_template(text, "body", GENERATE)


def test_what_comes_from_the_environment_is_no_template():
    text = text_template(Resolved("a{b", "${env:X}"), "headers.x", GENERATE)

    assert text.fill({}) == "a{b"


def test_what_came_from_the_environment_is_found_as_requests_have_it():
    tree = [
        {"a": Resolved('s "1', "${env:A}")},
        "plain",
        [Resolved("xxxx", "${env:B}")],
        Resolved("abc", "${env:C}"),
    ]

    assert dict(references_in(tree)) == {
        's "1': "${env:A}",
        "s%20%221": "${env:A}",
        's \\"1': "${env:A}",
        "xxxx": "${env:B}",
    }


def test_a_value_may_not_be_endlessly_deep():
    value: object = "x"
    for _ in range(40):
        value = [value]

    with pytest.raises(ConfigError, match="more than 32"):
        value_template(value, "body", GENERATE)
