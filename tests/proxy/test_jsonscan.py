import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.jsonscan import (
    BrokenJson,
    DuplicateKey,
    JsonFault,
    Member,
    NotAnObject,
    TooComplex,
    elements,
    insert_member,
    insertion,
    member_value,
    patch,
    scan,
)

KEYS = frozenset({"model", "stream", "stream_options"})
# Values and keys that look like the members sought.
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | st.text(max_size=8)
)
TEXTS = st.sampled_from(['"model"', "model", "\\", '"', "\\u0065", '{"model":1}', "é\u2028", "stream", ""])
NAMES = st.sampled_from(["model", "stream", "stream_options", "messages", 'a"b', "\\model", "é", ""])
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SPACE = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])


@st.composite
def spelt(draw, text):
    """Spell a JSON string in one of its many ways."""
    out = []
    for char in text:
        plain = orjson.dumps(char).decode()[1:-1]
        escaped = "".join(f"\\u{unit:04x}" for unit in _utf16(char))
        out.append(
            draw(st.sampled_from([plain, plain, plain, plain, escaped, escaped.upper().replace("U", "u")]))
        )
    return f'"{"".join(out)}"'


def _utf16(char):
    raw = char.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@st.composite
def bodies(draw, unique=True):
    """Make a JSON object: unlike what an encoder writes, with white space anywhere and keys spelt oddly."""
    parts = []
    for name in draw(st.lists(NAMES, max_size=6, unique=unique)):
        value = orjson.dumps(draw(VALUES), option=draw(st.sampled_from([0, orjson.OPT_INDENT_2]))).decode()
        key = draw(spelt(name))
        parts.append(draw(SPACE) + key + draw(SPACE) + ":" + draw(SPACE) + value + draw(SPACE))
    return (draw(SPACE) + "{" + (",".join(parts) or draw(SPACE)) + "}" + draw(SPACE)).encode()


@given(bodies())
def test_each_member_is_where_the_scan_says(body):
    whole = orjson.loads(body)
    found = scan(body, KEYS)

    assert found.keys() == whole.keys() & KEYS
    for key, at in found.items():
        assert orjson.loads(body[at.value_start : at.value_end]) == whole[key]
        assert body[at.value_start : at.value_end].strip() == body[at.value_start : at.value_end]
        assert orjson.loads(body[at.key_start : at.value_start].rstrip(b" \t\r\n:")) == key


@given(bodies(), VALUES)
def test_a_patch_changes_the_value_and_no_other_byte(body, value):
    for key, at in scan(body, KEYS).items():
        patched = patch(body, [(at.value_start, at.value_end, orjson.dumps(value))])

        assert orjson.loads(patched) == orjson.loads(body) | {key: value}
        assert patched.startswith(body[: at.value_start])
        assert patched.endswith(body[at.value_end :])


@given(bodies(), VALUES)
def test_an_insertion_adds_the_member_and_changes_no_other_byte(body, value):
    start, end, new = insertion(body, "wanted", orjson.dumps(value))
    inserted = insert_member(body, "wanted", orjson.dumps(value))

    assert orjson.loads(inserted) == orjson.loads(body) | {"wanted": value}
    assert inserted == body[:start] + new + body[end:]
    assert start == end


@given(bodies(unique=False))
def test_a_member_is_refused_when_it_is_there_twice(body):
    names = [name for name, _ in _pairs(body)]
    twice = {name for name in names if names.count(name) > 1} & KEYS

    if twice:
        with pytest.raises(DuplicateKey) as fault:
            scan(body, KEYS)
        assert fault.value.key in twice
    else:
        assert scan(body, KEYS).keys() == set(names) & KEYS


def _pairs(body):
    import json

    return json.loads(body, object_pairs_hook=list)


@given(
    bodies(),
    st.integers(0, 400),
    st.sampled_from([b"", *(bytes([n]) for n in b'{}[]",:\\u0eE.-+tn\x00\xff\xc3 ')]),
)
def test_a_damaged_body_is_judged_as_a_strict_parser_judges_it(body, place, damage):
    at = min(place, len(body) - 1)
    damaged = body[:at] + damage + body[at + 1 :]
    try:
        whole = orjson.loads(damaged)
    except orjson.JSONDecodeError as fault:
        whole = fault
    try:
        found = scan(damaged, KEYS)
    except DuplicateKey:
        return
    except JsonFault:
        assert not isinstance(whole, dict)
        return

    # The one thing taken that orjson does not take is a number beyond a double.
    assert "infinity" in str(whole) or found.keys() == whole.keys() & KEYS


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", 0),
        (b'{"model": "a"', 13),
        (b'{"model": "a",}', 13),
        (b'{"model": NaN}', 10),
        (b'{"model": "a"} x', 15),
        (b'{"model": "\xff"}', 11),
        (b'{"x\xff": 1}', 3),
        (b'{"x": "\xed\xa0\x80"}', 7),
        (b"\xef\xbb\xbf{}", 0),
        (b'{"model": "a\nb"}', 12),
        (b'{"model": 01}', 10),
        (b"{'model': 1}", 1),
    ],
)
def test_a_broken_body_is_refused_with_the_place(body, position):
    with pytest.raises(BrokenJson, match="not valid JSON") as fault:
        scan(body, KEYS)
    assert fault.value.position == position


@pytest.mark.parametrize("body", [b"[]", b'["model"]', b'"model"', b"1", b"null", b" true "])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(NotAnObject, match="must be a JSON object"):
        scan(body, KEYS)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening):
    closing = b"]" if opening == b"[" else b"}"
    with pytest.raises(TooComplex, match="nested too deeply"):
        scan(b'{"model":' + opening * 100_000 + b"1" + closing * 100_000 + b"}", KEYS)


def test_a_crowd_of_members_is_refused_where_each_would_have_to_be_read():
    crowd = b",".join(b'"%d":0' % n for n in range(20_000))

    with pytest.raises(TooComplex, match="too many members"):
        scan(b'{"mod\\u0065l":1,' + crowd + b"}", KEYS)
    assert scan(b'{"model":1,' + crowd + b"}", KEYS) == {"model": Member(1, 9, 10)}


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":1,"mod\\u0065l":"b"}',
        b'{"\\u006dodel":"a","\\u006Dodel":"b"}',
        b'{"model":1,"model":1,"nested":{"model":2}}',
    ],
)
def test_a_duplicate_is_refused_in_every_spelling(body):
    with pytest.raises(DuplicateKey, match="must hold 'model' only once"):
        scan(body, KEYS)


def test_members_of_inner_objects_and_texts_do_not_count():
    body = b'{"a":{"model":1},"b":"\\"model\\":2","c":["model"],"model":3,"d":{"stream":4}}'

    assert {key: body[at.value_start : at.value_end] for key, at in scan(body, KEYS).items()} == {
        "model": b"3"
    }


def test_white_space_belongs_to_no_member():
    assert scan(b'{ "model" :\t1 }', KEYS) == {"model": Member(2, 12, 13)}


def test_a_key_with_marks_is_found_in_any_spelling():
    body = b'{"a\\/b":1,"q\\"":2}'

    assert scan(body, frozenset({"a/b", 'q"'})) == {"a/b": Member(1, 8, 9), 'q"': Member(10, 16, 17)}


def test_the_value_of_a_member_is_read_as_it_stands():
    body = b'{ "model" : "m" }'

    assert member_value(body, scan(body, KEYS)["model"]) == b'"m"'


@given(st.lists(VALUES, max_size=6), st.booleans(), st.sampled_from([b"", b'{"x":[1], "list" : ']))
def test_elements_are_found_to_the_byte(items, spaced, before):
    body = before + orjson.dumps(items, option=orjson.OPT_INDENT_2 if spaced else 0)

    places = elements(body + b" }", Member(0, len(before), len(body)))

    assert [orjson.loads(body[start:end]) for start, end in places] == items
    assert all(body[start:end] == body[start:end].strip() for start, end in places)


def test_edits_that_overlap_are_refused():
    assert patch(b"abcdef", [(1, 2, b"B"), (2, 2, b"+"), (4, 6, b"")]) == b"aB+cd"
    with pytest.raises(ValueError, match="edit 2:3 overlaps"):
        patch(b"abcdef", [(1, 3, b""), (2, 3, b"")])
    with pytest.raises(ValueError, match="leaves the body"):
        patch(b"abcdef", [(4, 7, b"")])
