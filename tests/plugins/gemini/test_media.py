from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Audio, Block, Document, FileRef, Image, Inline, Link, Losses, Video
from llmproxy.plugin import BadField
from llmproxy_gemini.media import guessed, read_file, read_inline, write_source


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", Image),
        ("audio/wav", Audio),
        ("video/mp4", Video),
        ("application/pdf", Document),
        ("text/plain", Document),
    ],
)
def test_bytes_are_what_their_type_says(media_type: str, kind: type[Block]) -> None:
    block: Any = read_inline({"mime_type": media_type, "data": "QQ=="}, "x", Losses())

    assert isinstance(block, kind)
    assert block.source == Inline(media_type=media_type, data="QQ==")


@pytest.mark.parametrize(
    ("uri", "media_type", "block"),
    [
        (
            "https://x.test/a.png?b=1",
            "",
            Image(source=Link(url="https://x.test/a.png?b=1")),
        ),
        (
            "https://www.youtube.com/watch?v=1",
            "",
            Video(source=Link(url="https://www.youtube.com/watch?v=1")),
        ),
        (
            "gs://bucket/a",
            "audio/mpeg",
            Audio(source=FileRef(id="gs://bucket/a", dialect="gemini", media_type="audio/mpeg")),
        ),
        ("https://[bad", "", Document(source=Link(url="https://[bad"))),
    ],
)
def test_files_are_links_unless_only_google_has_them(uri: str, media_type: str, block: Block) -> None:
    assert read_file({"fileUri": uri, "mimeType": media_type}, "x", Losses()) == block


def test_a_link_is_written_with_a_type_that_is_guessed() -> None:
    assert write_source(Link(url="https://x.test/a.webp"), "image/jpeg") == {
        "fileData": {"mimeType": "image/webp", "fileUri": "https://x.test/a.webp"}
    }
    assert write_source(Link(url="https://x.test/a"), "image/jpeg") == {
        "fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.test/a"}
    }


def test_a_file_of_another_provider_cannot_be_named() -> None:
    assert write_source(FileRef(id="file-1", dialect="openai"), "image/png") is None


@pytest.mark.parametrize(
    "source", [Inline(media_type="a/b", data="QQ=="), FileRef(id="files/1", dialect="gemini")]
)
def test_bytes_and_own_files_come_back(source: Inline | FileRef) -> None:
    part = write_source(source, "x/y")

    assert part is not None
    read = read_inline if "inlineData" in part else read_file
    block: Any = read(next(iter(part.values())), "x", Losses())
    assert block.source == source


def test_an_unknown_suffix_is_not_guessed() -> None:
    assert guessed("https://x.test/a.xyz") == ""


def test_data_must_be_text() -> None:
    with pytest.raises(BadField, match=r"'p\.data'"):
        read_inline({"data": 1}, "p", Losses())


def test_only_documents_have_a_name() -> None:
    losses = Losses()

    document: Any = read_file({"fileUri": "gs://a", "displayName": "A"}, "x", losses)
    read_file({"fileUri": "gs://b/a.png", "displayName": "A", "etag": 1}, "x", losses)

    assert document.title == "A"
    assert [loss.field for loss in losses] == ["x.etag", "x.displayName"]


def test_data_is_told_in_the_alphabet_that_all_providers_take() -> None:
    block = read_inline({"mimeType": "image/png", "data": "a-_b+/=="}, "at", Losses())

    assert isinstance(block, Image)
    assert block.source == Inline(media_type="image/png", data="a+/b+/==")
