import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmproxy.identity import Names, Serials

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_names_are_unique_among_workers():
    one, two = Names(), Names()
    names = [source.request_id(None) for source in (one, two) for _ in range(100)]

    assert len(set(names)) == 200


@pytest.mark.parametrize("given", [b"abc", b"a-b_c.d:e/f+g=h@i".replace(b"_", b"."), b"x" * 128])
def test_a_safe_id_is_passed_on(given):
    assert Names().request_id(given) == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"a\n", b'"', b"x" * 129, b"\xff", b"{}"])
def test_an_unsafe_id_is_replaced(given):
    assert re.fullmatch(r"req-[0-9a-f]{12}-1", Names().request_id(given))


@given(st.binary(max_size=140))
@example(b"a\n")
def test_an_id_never_breaks_a_line(given):
    assert re.fullmatch(r"[!-~]{1,128}", Names().request_id(given))


def test_a_valid_trace_is_passed_on():
    assert Names().trace(TRACE) == TRACE.decode()


@pytest.mark.parametrize(
    "given",
    [
        None,
        b"",
        b"ff" + TRACE[2:],
        TRACE.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32),
        TRACE.replace(b"00f067aa0ba902b7", b"0" * 16),
        TRACE.upper(),
        TRACE + b"-extra",
        TRACE + b"\n",
    ],
)
def test_anything_else_begins_a_trace_that_nobody_records_yet(given):
    """W3C Trace Context, §3.2."""
    trace = Names().trace(given)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", trace)
    assert trace.encode() != given


def test_traces_differ():
    names = Names()

    assert len({names.trace(None) for _ in range(100)}) == 100


def test_a_forked_process_makes_serials_of_its_own():
    serials, (read, write) = Serials(), os.pipe()
    child = os.fork()
    if not child:
        os.write(write, serials().encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(read, 100).decode()
    os.close(read)
    os.close(write)

    assert len({told, serials(), serials()}) == 3
