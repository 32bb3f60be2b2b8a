import msgspec
import pytest
from hypothesis import given

from llmproxy.canonical import Block, CacheMark, Image, Inline, Text, ToolCall

from .made import BLOCKS

JSON = msgspec.json.Decoder(tuple[Block, ...])


@given(BLOCKS)
def test_a_block_can_be_kept_as_json_and_read_again(block):
    assert JSON.decode(msgspec.json.encode((block,))) == (block,)


def test_a_kept_block_knows_its_kind_and_leaves_out_what_was_not_said():
    assert msgspec.json.encode(Text(text="a")) == b'{"type":"Text","text":"a"}'


def test_blocks_stay_what_they_are():
    with pytest.raises(AttributeError):
        Text(text="a").text = "b"


def test_blocks_of_the_same_content_are_the_same():
    source = Inline(media_type="image/png", data="AAAA")

    assert Image(source=source, cache=CacheMark()) == Image(source=source, cache=CacheMark())
    assert len({Text(text="a"), Text(text="a")}) == 1


def test_a_call_without_arguments_has_an_empty_object():
    assert ToolCall(id="c", name="f").arguments == "{}"
