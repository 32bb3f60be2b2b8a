from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadField
from llmproxy_openai.media.forms import File, flag_of, number_of, read_form, write_form

NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
FILES = st.builds(
    File,
    st.from_regex(r"[a-zA-Z0-9 ._-]{1,20}", fullmatch=True),
    st.sampled_from(["audio/wav", "image/png"]),
    st.binary(max_size=200),
)


@given(st.dictionaries(NAMES, TEXTS, max_size=4), st.dictionaries(NAMES, FILES, max_size=3))
def test_a_form_comes_back_as_it_went(texts: dict[str, str], files: dict[str, File]) -> None:
    body, kind = write_form(texts.items(), files.items())
    sent = read_form(body, kind)

    assert sent.members == texts
    assert sent.files == {name: [file] for name, file in files.items()}


@given(st.binary(max_size=300))
def test_a_file_may_hold_anything_even_what_separates_parts(data: bytes) -> None:
    data = b"\r\n--llmproxy-form-0--\r\n" + data
    body, kind = write_form([("model", "m")], [("file", File("a", "audio/wav", data))])

    assert read_form(body, kind).files["file"][0].data == data


def test_what_stands_several_times_is_a_list() -> None:
    body, kind = write_form([("a[]", "1"), ("a[]", "2"), ("b[]", "3"), ("c", "4"), ("c", "5")], [])

    assert read_form(body, kind).members == {"a": ["1", "2"], "b": ["3"], "c": ["4", "5"]}


def test_a_file_is_what_its_bytes_say() -> None:
    inline = File("a.png", "application/octet-stream", b"\x89PNG\r\n\x1a\n....").inline()

    assert inline.media_type == "image/png"
    assert b64decode(inline.data).startswith(b"\x89PNG")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    read_form(body, b"multipart/form-data; boundary=x")


def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(BadField, match="boundary"):
        read_form(b"", b"multipart/form-data")


@pytest.mark.parametrize(("value", "number"), [(None, None), (2, 2), ("2", 2), ("2.0", 2), (2.0, 2)])
def test_numbers_are_read_from_forms_and_json(value: Any, number: Any) -> None:
    assert number_of({"n": value}, "n", whole=True) == number


@pytest.mark.parametrize("value", ["x", [], True, "1.5", "nan", "inf", "1e99", 2**70, {}])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(BadField, match="'n' must be"):
        number_of({"n": value}, "n", whole=True)


@pytest.mark.parametrize(
    ("value", "said"),
    [(True, True), ("true", True), ("1", True), ("false", False), (None, False), (1, False)],
)
def test_flags_are_read_from_forms_and_json(value: Any, said: bool) -> None:
    assert flag_of({"f": value}, "f") is said
