import pytest

from llmproxy.canonical import CountRequest, GenerateRequest, Losses, Message, Text
from llmproxy.plugin import BadRequest
from llmproxy_bedrock.counting import read_count, write_count

from .conftest import HI

ASKED = CountRequest(
    request=GenerateRequest(model="m", messages=(Message(role="user", content=(Text(text="hi"),)),))
)


def test_a_count_is_read_and_written():
    told = {"input": {"converse": HI}}

    assert read_count("m", told, Losses()) == ASKED
    assert write_count(ASKED, "m") == told


@pytest.mark.parametrize(
    "told", [{}, {"input": {}}, {"input": {"invokeModel": {"body": "e30="}}}, {"input": {"odd": {}}}]
)
def test_what_cannot_be_counted_is_refused(told):
    with pytest.raises(BadRequest):
        read_count("m", told, Losses())
