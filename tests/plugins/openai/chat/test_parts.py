from __future__ import annotations

import base64
from typing import Any

import pytest

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Losses,
    Reasoning,
    Refusal,
    Text,
    Video,
)
from llmproxy.plugin import BadField
from llmproxy_openai.chat import parts

PNG = "data:image/png;base64,aGk="


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "text", "text": "hi"}, Text("hi")),
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            Image(Inline("image/png", "aGk="), "low"),
        ),
        ({"type": "image_url", "image_url": "https://a.example/b"}, Image(Link("https://a.example/b"))),
        (
            {"type": "image_url", "image_url": {"url": "data:,a%20b"}},
            Image(Inline("text/plain", base64.b64encode(b"a b").decode())),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            Audio(Inline("audio/wav", "AA==")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Audio(Inline("audio/mpeg", "AA==")),
        ),
        ({"type": "input_audio", "input_audio": "https://a.example/b"}, Audio(Link("https://a.example/b"))),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            Document(Inline("application/pdf", "AA=="), title="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": "AA=="}}, Document(Inline("application/pdf", "AA=="))),
        (
            {"type": "file", "file": {"file_data": "data:video/mp4;base64,AA=="}},
            Video(Inline("video/mp4", "AA==")),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(FileRef("file-1", "openai"))),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/b"}},
            Video(Link("https://a.example/b")),
        ),
        (
            {"type": "document_url", "document_url": "https://a.example/b", "document_name": "b"},
            Document(Link("https://a.example/b"), title="b"),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}, Reasoning("so")),
        (
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("hi", CacheMark("1h")),
        ),
        (
            {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text("hi", CacheMark()),
        ),
    ],
)
def test_a_part_is_read(part: dict[str, Any], block: Block, losses: Losses) -> None:
    assert parts.read_content([part], "", losses) == [block]
    assert len(losses) == 0


def test_plain_contents_are_read(losses: Losses) -> None:
    assert parts.read_content("hi", "", losses) == parts.read_content(["hi"], "", losses) == [Text("hi")]
    assert parts.read_content(None, "", losses) == parts.read_content("", "", losses) == []


@pytest.mark.parametrize(
    "content",
    [
        7,
        [7],
        [{}],
        [{"type": "image_url"}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64"}}],
        [{"type": "input_audio"}],
        [{"type": "file"}],
        [{"type": "text", "text": 5}],
    ],
)
def test_a_broken_part_is_refused(content: Any, losses: Losses) -> None:
    with pytest.raises(BadField):
        parts.read_content(content, "messages[0].", losses)


def test_what_is_not_known_is_told(losses: Losses) -> None:
    parts.read_content([{"type": "hologram"}, {"type": "text", "text": "x", "tone": "warm"}], "", losses)

    assert [loss.field for loss in losses] == ["messages[].content[].hologram", "messages[].content[].tone"]


@pytest.mark.parametrize(
    ("extras", "written"),
    [
        (("cache_control",), {"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        (("prompt_cache_breakpoint",), {"prompt_cache_breakpoint": {"mode": "explicit"}}),
        ((), {}),
    ],
)
def test_a_mark_is_written_as_the_provider_takes_it(extras: tuple[str, ...], written: dict[str, Any]) -> None:
    part: dict[str, Any] = {}

    assert parts.write_mark(part, CacheMark("1h"), extras) is bool(extras)
    assert part == written


def test_pictures_and_recordings_come_back_as_they_went(losses: Losses) -> None:
    for block in (Image(Inline("image/png", "aGk="), "high"), Audio(Inline("audio/mpeg", "AA=="))):
        write = parts.write_image if isinstance(block, Image) else parts.write_audio
        part = write(block, losses)  # type: ignore[operator]

        assert parts.read_content([part], "", losses) == [block]


def test_a_text_file_goes_as_text(losses: Losses) -> None:
    packed = base64.b64encode("é".encode()).decode()

    assert parts.write_document(Document(Inline("text/plain", packed), title="T"), losses) == {
        "type": "text",
        "text": "T\n\né",
    }
    assert parts.write_document(Document(text="plain"), losses) == {"type": "text", "text": "plain"}
    assert len(losses) == 0


def test_what_cannot_be_sent_is_told(losses: Losses) -> None:
    assert parts.write_image(Image(FileRef("f", "anthropic")), losses) is None
    assert parts.write_audio(Audio(Link("https://a.example")), losses) is None
    assert parts.write_video(Video(Link("https://a.example")), (), losses) is None
    assert parts.write_document(Document(Link("https://a.example"), cite=True, context="c"), losses) is None
    parts.write_document(Document(FileRef("file-1", "openai"), title="t"), losses)

    told = ["content.image", "content.audio", "content.video", "document.cite", "document.context"]
    assert [loss.field for loss in losses] == [*told, "content.document", "document.title"]


def test_a_film_is_sent_where_it_is_taken(losses: Losses) -> None:
    part = parts.write_video(Video(Link("https://a.example")), ("video_url",), losses)

    assert part == {"type": "video_url", "video_url": {"url": "https://a.example"}}


def test_text_that_is_none_stays_a_file() -> None:
    assert parts.plain_text(Document(Inline("text/plain", base64.b64encode(b"\xff").decode()))) is None
    assert parts.plain_text(Document(Inline("text/plain", "A"))) is None
