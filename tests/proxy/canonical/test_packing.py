import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.canonical.made import THOUGHTS

from llmproxy.canonical import Reasoning, Refusal, Text, ToolCall, pack_signature, unpack_signature
from llmproxy.canonical.packing import is_signed, pack_thought, unpack_thought


@given(st.text(), st.sampled_from(["anthropic", "gemini", "openai"]))
def test_a_packed_signature_tells_whose_it_is(signature, origin):
    assert unpack_signature(pack_signature(signature, origin), "other") == (signature, origin)


def test_a_signature_that_was_not_packed_is_the_dialects_own():
    assert unpack_signature("EqQB", "anthropic") == ("EqQB", "anthropic")


@given(THOUGHTS)
def test_a_thought_of_another_dialect_comes_back_as_it_was(thought):
    thought = msgspec.structs.replace(thought, origin="gemini")
    packed = pack_thought(thought, "other")

    own, origin = unpack_signature(packed, "other")

    if packed:
        assert unpack_thought(thought.text, own, origin) == thought


def test_a_dialects_own_thought_keeps_its_signature():
    assert pack_thought(Reasoning(text="hm", signature="s", origin="own"), "own") == "s"
    assert pack_thought(Reasoning(text="hm", origin="foreign"), "own") == ""


def test_what_looks_packed_and_is_not_is_the_signature():
    assert unpack_thought("hm", "{broken", "gemini") == Reasoning(
        text="hm", signature="{broken", origin="gemini"
    )


def test_what_is_signed_has_to_come_back():
    signed = (Reasoning(redacted="r"), Reasoning(signature="s"), Text(text="", signature="s"))

    assert all(map(is_signed, signed))
    assert not any(map(is_signed, (Text(text="t"), ToolCall("i", "n", "{}"), Refusal(text="no"))))
