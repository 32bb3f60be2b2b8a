from __future__ import annotations

import pytest

from llmproxy.canonical import FileRef, Image, Inline, Link, Losses
from llmproxy_ollama.pictures import read_picture, written_picture


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("iVBORw0KGgoAAA", "image/png"),
        ("/9j/4AAQ", "image/jpeg"),
        ("R0lGODlh", "image/gif"),
        ("UklGRh4", "image/webp"),
        ("Qk0", "image/bmp"),
        ("????", "image/png"),
    ],
)
def test_a_pictures_type_is_told_by_its_first_bytes(data, kind):
    assert read_picture(data) == Image(source=Inline(media_type=kind, data=data))


def test_a_data_url_tells_it():
    assert read_picture("data:image/jpeg;base64,AA").source == Inline(media_type="image/jpeg", data="AA")


def test_bytes_are_written_and_what_lies_elsewhere_is_lost():
    losses = Losses()

    assert written_picture(Inline(media_type="image/png", data="AA"), losses) == "AA"
    assert not list(losses)
    assert written_picture(Link(url="https://x/y.png"), losses) is None
    assert written_picture(FileRef(id="f", dialect="openai"), losses) is None
    assert [loss.field for loss in losses] == ["content.image"]
