import orjson
import pytest

from llmproxy.canonical import ToolCall
from llmproxy.plugin import ProviderError
from llmproxy_anthropic.answers import decode_answer
from llmproxy_anthropic.settling import settled


def content_of(*blocks):
    return decode_answer(orjson.dumps({"content": blocks})).choices[0].content


def call(**more):
    (block,) = content_of({"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}, **more})
    return block


@pytest.mark.parametrize("given", [None, "", " ", "{}", [], {}])
def test_an_input_that_says_nothing_is_none(given):
    assert call(input=given) == ToolCall(id="a", name="f", arguments="{}")


def test_an_input_may_be_json_text_and_an_id_a_number():
    assert call(input='{"a": 2}', id=7) == ToolCall(id="7", name="f", arguments='{"a":2}')


def test_an_input_that_is_no_object_cannot_be_read():
    with pytest.raises(ValueError, match="input"):
        call(input="half {")


def test_texts_and_thoughts_that_are_null_hold_nothing():
    empty = [{"type": "text", "text": None}, {"type": "thinking", "thinking": None, "signature": None}]

    assert content_of(*empty) == ()


@pytest.mark.parametrize(
    "block", [{"type": "text", "text": "a"}, {"type": "text"}, {"type": "later"}, "a", None]
)
def test_what_is_not_odd_or_not_known_is_left_alone(block):
    assert settled(block) is block


def test_an_error_in_openais_words_under_a_good_status_is_one():
    with pytest.raises(ProviderError, match="later"):
        decode_answer(b'{"error": {"message": "later", "type": "x"}}')
