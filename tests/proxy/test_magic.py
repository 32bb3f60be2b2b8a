import pytest

from llmproxy.magic import LOOKED_AT, media_type_of


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", "audio/wav"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<html>", ""),
        (b"<svg", ""),
        (b"RIFF", ""),
        (b"", ""),
    ],
)
def test_a_media_type_is_told_by_the_first_bytes(start, kind):
    assert media_type_of(start) == kind
    assert media_type_of((start + b"\0" * 20)[:LOOKED_AT]) == kind
