import base64
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Image, Inline, Link
from llmproxy.pictures import picture_tokens, size_of


def png(width, height):
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + pack(">II", width, height) + b"\x08\x02\0\0\0"


def jpeg(width, height):
    thumbnail = b"\xff\xe1" + pack(">H", 2 + 3000) + b"\xff\xc0" * 1500
    frame = b"\xff\xc2" + pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8" + thumbnail + b"\xff\xff\xdb\0\x04ab" + frame


def webp(kind, rest):
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + rest + b"\0" * 16


def image(data, detail=""):
    return Image(Inline("image/png", base64.b64encode(data).decode()), detail)


@pytest.mark.parametrize(
    "data",
    [
        png(640, 480),
        b"GIF89a" + pack("<HH", 640, 480),
        jpeg(640, 480),
        webp(b"VP8X", b"\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")),
        webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")),
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + pack("<HH", 640, 480)),
    ],
    ids=["png", "gif", "jpeg", "webp", "lossless webp", "lossy webp"],
)
def test_a_size_is_read_from_the_first_bytes(data):
    assert size_of(data) == (640, 480)
    assert size_of(data[:20]) in (None, (640, 480))


@pytest.mark.parametrize(
    "data", [b"", b"<svg>", png(0, 7), b"\xff\xd8\xff\xd9", b"\xff\xd8ab", webp(b"ABCD", b"")]
)
def test_what_tells_no_size_has_none(data):
    assert size_of(data) is None


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", png(1, 1)[:16], b"GIF89a", webp(b"VP8 ", b"")]),
    st.binary(max_size=80),
)
def test_no_bytes_make_it_fail(start, data):
    size = size_of(start + data)

    assert size is None or (size[0] > 0 and size[1] > 0)


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # As the providers told for recorded requests.
        ("gpt-4o", (640, 480), "", 425),
        ("gpt-4o", (128, 128), "", 255),
        ("gpt-4o-mini", (1, 1), "", 8500),
        ("gpt-5", (50, 50), "", 210),
        # As they document.
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4.1-mini", (1024, 1024), "", 1659),
        ("gpt-4.1-mini", (1800, 2400), "", 2353),
        ("gpt-5.5", (1024, 1024), "", 1229),
        ("gpt-5.5", (4032, 3024), "", 11868),
        ("gpt-6-astra", (4032, 3024), "high", 2942),
        ("claude-sonnet-4-5", (1024, 1024), "", 1369),
        ("claude-3-5-sonnet-20241022", (4000, 4000), "", 1568),
        ("claude-opus-4-7", (1920, 1080), "", 2691),
        ("claude-sonnet-5", (8000, 8000), "", 4784),
        ("another", (750, 100), "", 104),
        ("gemini-2.5-flash", (384, 384), "", 258),
        ("gemini-2.5-flash", (960, 540), "", 1548),
    ],
)
def test_a_picture_has_the_tokens_of_its_provider(model, size, detail, tokens):
    assert picture_tokens(image(png(*size), detail), model) == tokens


def test_a_picture_that_cannot_be_seen_is_taken_for_a_middling_one():
    unseen = picture_tokens(Image(Link("https://pictures.example/1")), "gpt-4o")

    assert unseen == picture_tokens(image(b"what is this"), "gpt-4o") == 765
    assert picture_tokens(Image(Inline("image/png", "no base64!")), "unknown") > 0
    assert picture_tokens(image(png(9, 9)), "grok-4") == 256
    assert picture_tokens(image(png(2000, 2000)), "grok-4") == 1536
