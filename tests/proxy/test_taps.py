from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.exchange import Usage
from llmproxy.taps import LONG_TAIL, CountingTap, Findings, UsageReader, WholeTap, event_data, unfinished


def read(told: dict[str, Any]) -> Usage | None:
    return Usage(told["in"]) if "in" in told else None


READER = UsageReader("usage.told", read)


def told(count: int) -> bytes:
    return b'"usage.told" : {"in":%d,"d":{"e":{}}}' % count


def test_a_bodys_own_usage_is_read_and_no_other() -> None:
    assert READER.of_body(b'{"x":[{' + told(9) + b"}]," + told(1) + b',"y":{}}') == Usage(1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"usage.told":null}',
        b'{"usage.told":7}',
        b'{"usage.told":{}}',
        b"[" * 5000,
    ],
)
def test_a_body_without_usage_tells_none(body: bytes) -> None:
    assert READER.of_body(body) is None


def test_the_last_usage_of_a_cut_text_is_found() -> None:
    data = b'oken",' + told(1) + b"}\n\ndata: {" + told(2) + b', "usage.told":null}\n\n{"usage.told":{'

    assert READER.last(data) == Usage(2)


def test_usage_that_tells_nothing_is_passed_over() -> None:
    assert READER.last(told(1) + b'"usage.told":{}') == Usage(1)


def test_objects_are_found_from_the_last_to_the_first() -> None:
    data = told(1) + b'"usage.told":{"in":' + told(2) + b'"usage.told":{}'

    assert list(READER.objects(data)) == [{}, {"in": 2, "d": {"e": {}}}, {"in": 1, "d": {"e": {}}}]


def test_the_first_object_is_the_first_usages_own() -> None:
    assert READER.first_object(b"{" + told(1) + told(2)) == {"in": 1, "d": {"e": {}}}
    assert READER.first_object(b'"usage.told":null,' + told(2)) is None
    assert READER.first_object(b"{}") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'"usage.told"',
        b'"usage.told":{',
        b'"usage_told":{"in":1}',
        b'{"text":"\\"usage.told\\":{\\"in\\":5}"}',
        b'"usage.told":{x}',
        b'"usage.told":{"a":"' + b"x" * 20_000 + b'"}',
    ],
)
def test_what_only_looks_like_usage_is_none(data: bytes) -> None:
    assert READER.last(data) is None


def test_a_whole_answer_tells_its_usage_at_its_end() -> None:
    tap = WholeTap(READER)
    tap.feed(b'{"usage.told":{"i')
    assert (tap.first_output, tap.terminal, tap.usage) == (True, False, None)

    tap.feed(b'n":9}}')
    tap.end()
    assert (tap.terminal, tap.usage) == (True, Usage(9))


def test_half_an_answer_tells_nothing() -> None:
    tap = WholeTap(READER)
    tap.feed(b"{" + told(9))
    tap.fail(ConnectionResetError())

    assert (tap.terminal, tap.usage) == (False, None)


@pytest.mark.parametrize("size", [LONG_TAIL, 3 * LONG_TAIL])
@pytest.mark.parametrize("cut", [64 * 1024, 10 * LONG_TAIL])
def test_a_long_answer_tells_usage_at_its_end(size: int, cut: int) -> None:
    body = b'{"data":"' + b"x" * size + b'",' + told(9) + b"}"
    tap = WholeTap(READER)
    for start in range(0, len(body), cut):
        tap.feed(body[start : start + cut])
        assert sum(map(len, tap._pieces)) <= max(2 * LONG_TAIL, cut)
    tap.end()

    assert tap.usage == Usage(9)


@given(st.lists(st.integers(0, 50), max_size=6).map(sorted))
def test_the_cuts_do_not_matter(cuts: list[int]) -> None:
    body = b'{"a":[1,{"b":"c"}],' + told(3) + b"}"
    tap = WholeTap(READER)
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        tap.feed(body[start:end])
    tap.end()

    assert tap.usage == Usage(3)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"event: x\ndata: {\ndata: }\n\n", b"{\n }"),
        (b"id: 1\r\ndata: {\r\ndata:}\r\n\r\n", b"{\n}"),
        (b": comment\n\n", b""),
    ],
)
def test_the_data_of_an_event_is_its_data_lines(raw: bytes, expected: bytes) -> None:
    assert event_data(raw).strip() == expected


@pytest.mark.parametrize(
    ("tail", "cut"),
    [
        (b"", b""),
        (b'data: {"a":1}\n\n', b""),
        (b'data: {"a":1}\r\n\r\n', b""),
        (b'data: {"a":1}\n\ndata: {"b"', b'data: {"b"'),
        (b'data: {"a":1}\n\ndata: {"b":1}', b'data: {"b":1}'),
        (b'data: {"a":1}\r\n\r\nevent: x\r\ndata: {', b"event: x\r\ndata: {"),
        (b'data: {"a":1}\n\ndata: [DONE]', b""),
        (b'data: {"a":1}\n\n: still here', b""),
    ],
)
def test_an_event_that_was_cut_is_none(tail, cut):
    assert unfinished(tail) == cut


def test_half_a_json_text_is_cut():
    for text, cut in ((b'{"usage":', True), (b'{"a":1}', False), (b"", False), (b'{"a":1}\n{"b":2}', False)):
        tap = WholeTap(UsageReader("usage", lambda told: None))
        tap.feed(text)
        tap.end()

        assert tap.cut == cut


PICTURES = b'{"data": [{"b64_json": "AA"}, {"url" : "\\"url\\": x"}, {"b64_json":"BB"}]}'


@given(st.lists(st.integers(0, len(PICTURES)), max_size=4))
def test_members_are_counted_however_their_names_are_cut(cuts: list[int]) -> None:
    tap = CountingTap(READER, "b64_json", "url")
    places = [0, *sorted(cuts), len(PICTURES)]
    for start, end in pairwise(places):
        tap.feed(PICTURES[start:end])
    tap.end()

    assert tap.usage == Usage(units=3)
    assert tap.terminal


def test_nothing_is_counted_where_usage_is_told_or_nothing_is_there() -> None:
    for body, usage in ((b"{" + told(4) + b',"url":1}', Usage(4)), (b"{}", None)):
        tap = CountingTap(READER, "url")
        tap.feed(body)
        tap.end()

        assert tap.usage == usage


class Kept(Findings):
    __slots__ = ("whole",)

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self.whole = self._keep(4)

    def _conclude(self) -> None:
        self.usage = Usage(self._size)


def test_what_a_tap_of_a_stream_keeps_is_its_tail_and_a_break_concludes_too() -> None:
    tap = Kept()
    for piece in (b"ab", b"cdef", b"g"):
        tap.feed(piece)
    tap.fail(ConnectionError())

    assert tap.whole == b"cdefg"
    assert tap.usage == Usage(4)
