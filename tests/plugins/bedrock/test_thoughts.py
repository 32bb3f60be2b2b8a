import base64

import pytest
from hypothesis import given
from tests.proxy.canonical.made import THOUGHTS

from llmproxy.canonical import Reasoning
from llmproxy.plugin import BadField
from llmproxy_bedrock.thoughts import (
    is_sealed,
    proof_of,
    read_thought,
    sealed_data,
    sealed_thought,
    thought_of,
    write_thought,
)


def sealed(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("told", "thought"),
    [
        (
            {"reasoningText": {"text": "hm", "signature": "s"}},
            Reasoning(text="hm", signature="s", origin="anthropic"),
        ),
        ({"reasoningText": {"text": "hm"}}, Reasoning(text="hm")),
        ({"redactedContent": sealed("EtkE")}, Reasoning(redacted="EtkE", origin="anthropic")),
        ({"redactedContent": "//8="}, Reasoning(redacted="//8=", origin="bedrock")),
    ],
)
def test_a_thought_is_read_and_written(told, thought):
    assert read_thought(told, "x", None) == thought
    assert write_thought(thought) == told


def test_nothing_is_no_thought():
    assert read_thought({"reasoningText": {"text": ""}}, "x", None) is None


@pytest.mark.parametrize("told", [{}, {"other": 1}, {"redactedContent": 1}, {"reasoningText": []}])
def test_another_shape_is_refused(told):
    with pytest.raises(BadField):
        read_thought(told, "x", None)


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(text="hm", signature="s", origin="gemini"),
        Reasoning(text="hm", signature="s", redacted="r", origin="openai", id="rs_1", summary=True),
        Reasoning(redacted="r", origin="openai", id="rs_1"),
    ],
)
def test_what_another_provider_needs_back_travels_along(thought):
    told = write_thought(thought)

    assert is_sealed(thought) == ("redactedContent" in told)
    assert read_thought(told, "x", None) == thought


@given(THOUGHTS)
def test_any_thought_can_be_written_and_read(thought):
    told = write_thought(thought)
    again = read_thought(told, "x", None)

    assert again is None or again.text == thought.text or is_sealed(thought)


def test_a_foreign_thought_without_proof_has_none():
    assert proof_of(Reasoning(text="hm", origin="gemini")) == ""
    assert thought_of("hm", "") == Reasoning(text="hm")
    assert sealed_thought(sealed_data(Reasoning(redacted="x"))).redacted == "x"
