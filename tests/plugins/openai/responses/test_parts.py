from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Losses,
    Refusal,
    Text,
)
from llmproxy.plugin import BadField
from llmproxy_openai.responses.parts import read_content, source_of, texts_of

MARK = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
URL_CITATION = {
    "type": "url_citation",
    "url": "https://a.test",
    "title": "A",
    "start_index": 0,
    "end_index": 1,
}


def read(part: Any, losses: Losses | None = None) -> tuple[Block, ...]:
    return read_content([part], "input[].content", losses if losses is not None else Losses())


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "input_text", "text": "a", **MARK}, Text(text="a", cache=CacheMark(ttl="30m"))),
        (
            {"type": "output_text", "text": "a", "annotations": [URL_CITATION]},
            Text(
                text="a",
                citations=(Citation(kind="url", url="https://a.test", title="A", text_start=0, text_end=1),),
            ),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
            Image(source=Inline(media_type="image/png", data="aGk="), detail="low"),
        ),
        (
            {"type": "input_image", "image_url": "https://a.test/a.png", "detail": "auto"},
            Image(source=Link(url="https://a.test/a.png")),
        ),
        ({"type": "input_image", "file_id": "f"}, Image(source=FileRef(id="f", dialect="openai"))),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            Document(source=Inline(media_type="application/pdf", data="aGk="), title="a.pdf"),
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": "aGk="},
            Document(source=Inline(media_type="text/plain", data="aGk="), title="a.txt"),
        ),
        (
            {"type": "input_file", "file_data": "data:;base64,aGk="},
            Document(source=Inline(media_type="application/pdf", data="aGk=")),
        ),
        (
            {"type": "input_file", "file_url": "https://a.test/a.pdf"},
            Document(source=Link(url="https://a.test/a.pdf")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            Audio(source=Inline(media_type="audio/mpeg", data="aGk=")),
        ),
    ],
)
def test_a_part_is_read(part: dict[str, Any], block: Block) -> None:
    losses = Losses()

    assert read(part, losses) == (block,)
    assert not len(losses)


def test_a_text_is_content_by_itself() -> None:
    assert read_content("hello", "input", Losses()) == (Text(text="hello"),)
    assert read_content("", "input", Losses()) == ()
    assert read({"type": "input_text", "text": ""}) == ()


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "hologram"}, "input[].content[]"),
        ({"type": "input_text", "text": "a", "shade": 1}, "input[].content[].shade"),
        ({"type": "output_text", "text": "a", "logprobs": [1]}, "input[].content[].logprobs"),
        ({"type": "output_text", "text": "a", "annotations": [1]}, "input[].content[].annotations[]"),
        ({"type": "input_image", "image_url": "https://a.test", "file_id": "f"}, "input[].content[].file_id"),
        ({"type": "input_file", "file_id": "f", "detail": "low"}, "input[].content[].detail"),
        ({"type": "input_file", "file_id": "f", "file_url": "https://a.test"}, "input[].content[].file_id"),
    ],
)
def test_what_has_no_place_is_reported(part: dict[str, Any], field: str) -> None:
    losses = Losses()

    read(part, losses)

    assert field in losses


@pytest.mark.parametrize(
    "part",
    [
        1,
        {"type": "input_text", "text": 1},
        {"type": "input_image"},
        {"type": "input_image", "image_url": "data:image/png,raw"},
        {"type": "input_image", "image_url": {"url": "https://a.test"}},
        {"type": "input_file", "filename": "a"},
        {"type": "input_audio", "input_audio": {}},
        {"type": "output_text", "text": "a", "annotations": 1},
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": 1},
    ],
)
def test_a_broken_part_is_named(part: Any) -> None:
    with pytest.raises(BadField) as caught:
        read(part)

    assert str(caught.value.param).startswith("input[].content[]")


def test_a_mark_that_is_lost_later_is_told_by_its_place() -> None:
    losses = Losses()

    read_content([{"type": "input_text", "text": "a", **MARK}], "input[].output", losses)
    losses.lose("content.cache")

    assert "input[].output[].prompt_cache_breakpoint" in losses


def test_content_of_another_type_is_refused() -> None:
    with pytest.raises(BadField):
        read_content(1, "input", Losses())


def test_texts_of_a_list_are_read() -> None:
    assert texts_of([{"type": "summary_text", "text": "a"}, {"text": "b"}], "s") == ["a", "b"]
    assert texts_of(None, "s") == []


def test_a_url_that_holds_no_data_stays_one() -> None:
    assert source_of("HTTPS://a.test", "p") == Link(url="HTTPS://a.test")
