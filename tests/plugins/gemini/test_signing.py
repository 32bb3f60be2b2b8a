from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Reasoning
from llmproxy_gemini.signing import read_signature, read_thought, thought_signature, write_signature


def test_geminis_own_signatures_are_left_as_they_are() -> None:
    assert write_signature("Ep8E", "gemini") == "Ep8E"
    assert read_signature("Ep8E") == ("Ep8E", "gemini")


@given(st.text(), st.sampled_from(["anthropic", "openai"]))
def test_anothers_signature_travels_in_base64_and_comes_back(signature: str, origin: str) -> None:
    written = write_signature(signature, origin)

    assert read_signature(written) == ((signature, origin) if signature else ("", "gemini"))


@given(st.text(min_size=1))
def test_sdks_may_write_the_other_alphabet_and_no_padding(signature: str) -> None:
    written = write_signature(signature, "anthropic")

    sent = base64.urlsafe_b64encode(base64.b64decode(written)).decode().rstrip("=")

    assert read_signature(sent) == (signature, "anthropic")


def test_a_thought_brings_what_its_provider_wants_back() -> None:
    thought = Reasoning(text="Hm", signature="s", redacted="r", origin="openai", id="rs_1", summary=True)

    assert read_thought("Hm", thought_signature(thought)) == thought


def test_a_plain_thought_stays_plain() -> None:
    assert thought_signature(Reasoning(text="Hm")) == ""
    assert read_thought("Hm", "") == Reasoning(text="Hm", origin="gemini")


@given(st.text())
def test_what_only_looks_packed_is_geminis(tail: str) -> None:
    read_signature("bGxtcHJveHk6" + tail)
    assert read_thought("x", write_signature(tail or "x", "openai+whole")).text == "x"
