from __future__ import annotations

import pytest

from llmproxy.canonical import BlockEnded, BlockStarted, Citation, Cited, Delta, Signed, Text
from llmproxy_openai.responses.told_blocks import ToldBlocks

EMPTY = Text(text="")


def test_blocks_are_numbered_in_the_order_in_which_they_begin() -> None:
    blocks = ToldBlocks()

    blocks.start((3, 0), "text", EMPTY)
    blocks.start((0, 0), "text", EMPTY)

    assert blocks.out == [BlockStarted(0, EMPTY), BlockStarted(1, EMPTY)]
    assert blocks.of_item(0) == [(0, 0)]
    assert blocks.get((1, 0)) is None


def test_only_what_was_not_told_is_told() -> None:
    blocks = ToldBlocks()
    told = blocks.start((0, 0), "text", EMPTY)
    blocks.more(told, "he")
    blocks.more(told, "")
    blocks.out.clear()

    blocks.rest(told, "hello")
    blocks.rest(told, "hello")
    blocks.rest(told, "good bye")

    assert blocks.out == [Delta(0, "llo")]


def test_log_probabilities_go_with_their_piece() -> None:
    blocks = ToldBlocks()
    told = blocks.start((0, 0), "text", EMPTY)

    blocks.more(told, "a", [{"token": "a"}])
    blocks.more(told, "b", "odd")

    assert blocks.out[1:] == [Delta(0, "a", {"content": [{"token": "a"}]}), Delta(0, "b")]


def test_a_block_ends_once() -> None:
    blocks = ToldBlocks()
    told = blocks.start((0, 0), "text", EMPTY)
    citation = Citation(kind="url", url="https://a.test")

    blocks.cite(told, [citation])
    blocks.sign(told, "")
    blocks.sign(told, "s")
    blocks.end(told)
    blocks.end_all()

    assert blocks.out[1:] == [Cited(0, citation), Signed(0, "s"), BlockEnded(0)]


def test_a_piece_that_is_no_text_is_a_type_error() -> None:
    blocks = ToldBlocks()

    with pytest.raises(TypeError):
        blocks.more(blocks.start((0, 0), "text", EMPTY), 7)
