from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_openai.multipart import fields
from llmproxy_openai.strictforms import is_plain_form, is_plain_type

END = b"--b--\r\n"


def part(head: bytes, value: bytes = b"dear") -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


def named(disposition: bytes, value: bytes = b"dear") -> bytes:
    return part(b"Content-Disposition: form-data" + disposition, value)


MODEL = named(b'; name="model"', b"cheap")


@pytest.mark.parametrize(
    "other",
    [
        b'; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
        b"; name=file; filename=a.wav; filename*=utf-8''a.wav",
        b'; filename="a b;c.wav"; name="file"',
        b'; name="image[]"; filename="C:\\a.png"\r\nContent-Length: 4',
        b'; name="file"; filename="\xc3\xa4.wav"\r\ncontent-type: audio/wav',
        b'; name="model_version"',
    ],
)
def test_forms_as_clients_write_them_are_plain(other: bytes) -> None:
    assert is_plain_form(MODEL + named(other, b"\x00\r\n-b") + END, b"b")
    assert is_plain_form(b"preamble\r\n" + named(other) + MODEL + END + b"epilogue", b"b")


@pytest.mark.parametrize(
    "other",
    [
        b"; name*=utf-8''model",
        b'; name*0="mod"; name*1="el"',
        b'; name="Model"',
        b'; name=" model"',
        b'; name="mod\\el"',
        b';\r\n name="model"',
        b'; name = "model"',
        b'; name="x"; name="model"',
        b'; filename="; name=x"; name="model"',
        b'; name="x"; filename="a\\"; name=model; y=\\"b"',
        b'; name="x"\r\nContent-Disposition: form-data; name="model"',
        b'; name="x"\r\nX-Content-Disposition: form-data; name="model"',
        b'; name="x"\nContent-Disposition: form-data; name="model"',
        b"; x=1",
        b"",
        b'; name="x"\r\nX-Long: ' + b"a" * 5000,
    ],
)
def test_a_name_that_may_be_read_as_another_makes_no_plain_form(other: bytes) -> None:
    assert not is_plain_form(MODEL + named(other) + END, b"b")


@pytest.mark.parametrize(
    "body",
    [
        MODEL,
        MODEL + b"--b",
        MODEL + END + MODEL + END,
        MODEL + b"--b\r\n\r\nno head\r\n" + END,
        MODEL + b"--b \r\n" + MODEL[5:] + END,
        named(b'; name="x"', b'1\n--b\nContent-Disposition: form-data; name="model"\n\ndear\n') + MODEL + END,
        MODEL + named(b'; name="x"') * 128 + END,
        b"nothing",
        b"",
    ],
)
def test_parts_that_may_be_counted_in_two_ways_make_no_plain_form(body: bytes) -> None:
    assert not is_plain_form(body, b"b")


@pytest.mark.parametrize(
    ("content_type", "plain"),
    [
        (b"multipart/form-data; boundary=b", True),
        (b'Multipart/Form-Data;charset=utf-8; Boundary="a b;c"', True),
        (b"multipart/form-data; boundary=----WebKitFormBoundary/+=", True),
        (b"multipart/form-data; boundary=b; boundary=c", False),
        (b'multipart/form-data; x="; boundary=b"; boundary=c', False),
        (b"multipart/form-data; boundary=b; boundary*=c", False),
        (b"multipart/form-data; boundary=b,c", False),
        (b"multipart/form-data", False),
    ],
)
def test_a_type_names_one_boundary_in_one_way(content_type: bytes, plain: bool) -> None:
    assert is_plain_type(content_type) is plain


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_between_parts_are_read_without_a_fault(pieces: list[bytes]) -> None:
    body = b"--b\r\n".join([b"", *pieces]) + END

    if is_plain_form(body, b"b"):
        assert len(list(fields(body, b"b"))) == len(pieces)
