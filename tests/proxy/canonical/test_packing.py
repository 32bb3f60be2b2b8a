from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import pack_signature, unpack_signature


@given(st.text(), st.sampled_from(["anthropic", "gemini", "openai"]))
def test_a_packed_signature_tells_whose_it_is(signature, origin):
    assert unpack_signature(pack_signature(signature, origin), "other") == (signature, origin)


def test_a_signature_that_was_not_packed_is_the_dialects_own():
    assert unpack_signature("EqQB", "anthropic") == ("EqQB", "anthropic")
