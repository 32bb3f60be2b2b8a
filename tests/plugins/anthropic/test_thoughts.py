import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Reasoning, pack_signature
from llmproxy_anthropic.thoughts import proof_of, thought_of, write_thought

WORDS = st.text(max_size=20)
FOREIGN = st.builds(
    Reasoning,
    text=WORDS,
    signature=WORDS,
    redacted=WORDS,
    origin=st.sampled_from(["gemini", "openai"]),
    summary=st.booleans(),
    id=WORDS,
).filter(lambda block: block.signature or block.redacted or block.id or block.summary)


def read_back(block):
    if block["type"] == "thinking":
        return thought_of(block["thinking"], block["signature"])
    return thought_of("", block["data"], redacted=True)


@pytest.mark.parametrize(
    "block",
    [
        Reasoning(text="hm", signature="EqQB", origin="anthropic"),
        Reasoning(text="", signature="EqQB", origin="anthropic"),
        Reasoning(redacted="EvgF", origin="anthropic"),
        Reasoning(text="hm"),
        Reasoning(text="hm", signature="{odd", origin="gemini"),
    ],
)
def test_a_thought_comes_back_as_it_was(block):
    assert read_back(write_thought(block)) == block


@given(FOREIGN)
def test_another_providers_thought_comes_back_with_all_that_it_needs(block):
    assert read_back(write_thought(block)) == block


def test_a_plain_foreign_signature_is_only_packed():
    assert proof_of(Reasoning(text="hm", signature="s", origin="gemini")) == pack_signature("s", "gemini")


def test_a_foreign_thought_without_proof_has_none():
    assert proof_of(Reasoning(text="hm", origin="openai")) == ""


@pytest.mark.parametrize("packed", ["{", "{}", '{"signature":1}'])
def test_an_odd_parcel_is_a_signature_or_nothing(packed):
    assert thought_of("hm", pack_signature(packed, "openai")).text == "hm"
