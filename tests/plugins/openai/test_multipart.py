from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_openai.multipart import boundary_of, fields, with_field


def form(parts: list[tuple[str, bytes]], boundary: bytes = b"xyz") -> bytes:
    written = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), value)
        for name, value in parts
    ]
    return b"".join(written) + b"--" + boundary + b"--\r\n"


def read(body: bytes, boundary: bytes = b"xyz") -> list[tuple[str, bytes]]:
    return [(name, body[start:end]) for name, start, end in fields(body, boundary)]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; charset=utf-8; Boundary="a b;c"', b"a b;c"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=", None),
    ],
)
def test_the_boundary_is_read_from_the_content_type(content_type: bytes, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


def test_fields_are_found_behind_a_file() -> None:
    file = (
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n\x00\r\n--xy\r\n\xff\r\n"
    )

    assert read(file + form([("model", b"whisper-1")])) == [
        ("file", b"\x00\r\n--xy\r\n\xff"),
        ("model", b"whisper-1"),
    ]


def test_a_file_name_is_no_field_name() -> None:
    body = b'--xyz\r\nContent-Disposition: form-data; filename="model"\r\n\r\nx\r\n--xyz--'

    assert read(body) == []


def test_a_name_without_quotes_is_read() -> None:
    assert read(b"--xyz\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--xyz--") == [
        ("model", b"m")
    ]


def test_what_stands_before_the_first_part_is_skipped() -> None:
    assert read(b"preamble\r\n" + form([("model", b"m")])) == [("model", b"m")]


@pytest.mark.parametrize(
    "body", [b"", b"nothing", b"--xyz", b"--xyz\r\nno blank line", b"--xyz\r\n\r\nno end"]
)
def test_what_is_no_form_has_no_fields(body: bytes) -> None:
    assert read(body) == []


names = st.text(
    st.characters(codec="utf-8", exclude_characters='"\r\n', exclude_categories=["Cs"]), max_size=20
)
values = st.binary(max_size=40).filter(lambda value: b"--xyz" not in value)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_every_field_is_found_with_its_exact_bytes(parts: list[tuple[str, bytes]]) -> None:
    assert read(form(parts)) == parts


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_fault(body: bytes) -> None:
    read(b"--xyz" + body)


def test_a_field_is_put_before_the_others():
    form = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--b--\r\n'

    for body in (form, b"preamble\r\n" + form):
        named = with_field(body, b"b", "model", "m")

        assert [(name, named[start:end]) for name, start, end in fields(named, b"b")] == [
            ("model", b"m"),
            ("n", b"1"),
        ]


def test_what_is_no_form_gets_no_field():
    assert with_field(b"nothing", b"b", "model", "m") == b"nothing"
