"""What earlier calls used, read out of answers that are cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy import latetaps
from llmproxy.belated import BATCH, TOLD, Belated, Spent
from llmproxy.exchange import Usage
from llmproxy.latetaps import LinesTap, MessagesTap, ObjectTap, summed
from llmproxy.testing import make_exchange

LINES = [
    {"model": "a", "in": 1, "out": 2},
    {"model": "b", "in": 3, "out": 0},
    {},
    {"model": "a", "in": 4, "out": 5},
]
BODY = b"\n".join(map(orjson.dumps, LINES)) + b"\n"
SPENT = (Spent("a", Usage(5, output=7)), Spent("b", Usage(3)))


def read_line(line):
    told = orjson.loads(line)
    if "other" in told:
        raise ValueError("no line of results")
    return Spent(told["model"], Usage(told["in"], output=told["out"])) if told else None


def pieces(body, cuts):
    cuts = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(cuts)]


def read(tap, body, cuts=()):
    for piece in pieces(body, cuts):
        tap.feed(piece)
    tap.end()
    return tap


@given(st.lists(st.integers(0, 200)), st.booleans())
def test_lines_are_summed_up_by_model_wherever_they_are_cut(cuts, ended):
    exchange = make_exchange()

    tap = read(LinesTap(exchange, "file-1", read_line), BODY if ended else BODY[:-1], cuts)

    assert exchange.state[TOLD] == Belated("file-1", SPENT, BATCH)
    assert (tap.first_output, tap.terminal, tap.cut, tap.usage) == (True, True, False, None)


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"{}\n", b'{"other":1}\n' + BODY, BODY + b'{"other":1}', b"%PDF-1.7\n"]
)
def test_what_is_no_file_of_results_tells_nothing(body):
    exchange = make_exchange()

    tap = read(LinesTap(exchange, "file-1", read_line), body)

    assert TOLD not in exchange.state
    assert tap.terminal


def test_half_a_file_tells_nothing():
    exchange = make_exchange()
    tap = LinesTap(exchange, "file-1", read_line)
    tap.feed(BODY)
    tap.fail(ConnectionAbortedError())

    assert TOLD not in exchange.state


def test_a_line_without_end_is_not_kept(monkeypatch):
    monkeypatch.setattr(latetaps, "LONGEST_LINE", 50)
    exchange = make_exchange()

    read(LinesTap(exchange, "file-1", read_line), b"[" * 200 + b"\n" + BODY, range(0, 200, 10))

    assert TOLD not in exchange.state


@given(st.lists(st.integers(0, 40)))
def test_an_object_tells_of_another_call(cuts):
    exchange, told = make_exchange(), Belated("batch_1", SPENT)

    tap = read(
        ObjectTap(exchange, lambda body: told if body["done"] else None), b'{"done": true, "x": "yes"}', cuts
    )

    assert exchange.state[TOLD] == told
    assert tap.usage is None


def test_an_object_tells_of_its_own_call():
    exchange = make_exchange()

    tap = read(ObjectTap(exchange, lambda body: Usage()), b"{}")

    assert tap.usage == Usage()
    assert TOLD not in exchange.state


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'{"done": {}}', b"\xff"])
def test_an_object_of_another_form_tells_nothing(body):
    exchange = make_exchange()

    tap = read(ObjectTap(exchange, lambda told: Belated(told["done"]["id"], ())), body)

    assert tap.terminal
    assert TOLD not in exchange.state


def test_an_object_that_is_too_large_tells_nothing(monkeypatch):
    monkeypatch.setattr(latetaps, "MOST", 10)
    exchange = make_exchange()

    read(ObjectTap(exchange, lambda told: Usage(1)), b'{"a": "bcdefghij"}', range(20))

    assert TOLD not in exchange.state


def session(model=None):
    exchange = make_exchange()
    exchange.model = model
    return exchange


def read_message(told):
    return Spent(told.get("model", ""), Usage(told["usage"]["in"])) if told["usage"] else None


SAID = (
    b'{"usage":{"in":3}}',
    b"binary \xff",
    b'{"usage":null}',
    b'{"usage":',
    b'{"usage":{"in":4},"model":"m"}',
)


@pytest.mark.parametrize("ending", ["end", "fail"])
def test_messages_are_summed_up(ending):
    exchange = session("asked")
    tap = MessagesTap(exchange, b'"usage"', read_message)
    for data in SAID:
        tap.feed(data)
    tap.end() if ending == "end" else tap.fail(ConnectionAbortedError())

    assert tap.usage == Usage(7)
    assert tap.terminal
    assert TOLD not in exchange.state


def test_a_session_without_a_model_tells_those_of_its_messages():
    exchange = session()
    tap = MessagesTap(exchange, b'"usage"', read_message)
    for data in (*SAID, SAID[-1]):
        tap.feed(data)
    tap.end()

    assert tap.usage == Usage(3)
    assert exchange.state[TOLD] == Belated(exchange.serial, (Spent("m", Usage(8)),))


def test_messages_that_tell_nothing_used_nothing():
    tap = MessagesTap(session(), b'"usage"', lambda told: None)
    tap.feed(b'{"usage":{"in":3}}')
    tap.fail(ConnectionAbortedError())

    assert tap.usage == Usage()


counts = st.builds(Usage, *(st.integers(0, 99) for _ in range(5)))


@given(st.lists(counts, min_size=1))
def test_sums_are_of_each_bucket(usages):
    total = summed(usages)

    assert total.total == sum(usage.total for usage in usages)
    assert total.cache_read == sum(usage.cache_read for usage in usages)
