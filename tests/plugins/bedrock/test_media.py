import pytest

from llmproxy_bedrock.media import DOCUMENTS, IMAGES, SOUNDS, VIDEOS, format_of, is_text, media_type_of


@pytest.mark.parametrize("table", [DOCUMENTS, IMAGES, SOUNDS, VIDEOS])
def test_a_format_that_is_read_is_written_as_one_of_the_same_type(table):
    for format, kind in table.items():
        assert table[format_of(media_type_of(format, table, "x"), table)] == kind


@pytest.mark.parametrize(
    ("kind", "table", "expected"),
    [
        ("image/JPG", IMAGES, "jpeg"),
        ("image/png; charset=x", IMAGES, "png"),
        ("image/tiff", IMAGES, None),
        ("application/pdf", DOCUMENTS, "pdf"),
        ("audio/mp3", SOUNDS, "mp3"),
        ("", IMAGES, None),
    ],
)
def test_a_media_type_has_a_format_or_none(kind, table, expected):
    assert format_of(kind, table) == expected


def test_a_new_format_is_one_of_its_family():
    assert media_type_of("avif", IMAGES, "image") == "image/avif"
    assert media_type_of("", DOCUMENTS, "application") == ""


def test_some_files_are_text():
    assert is_text("text/csv; charset=utf-8")
    assert is_text("application/json")
    assert not is_text("application/pdf")
