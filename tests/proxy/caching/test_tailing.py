from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.caching.tailing import (
    Fault,
    Frame,
    GoAlone,
    Head,
    LookAgain,
    Pieces,
    WorkerGone,
    encode,
    error_of,
    fault_of,
    first_of,
    frames_of,
    fresh,
)
from llmproxy.errors import BadField, GatewayError, ProviderError, UpstreamError, UpstreamTimeout
from llmproxy.exchange import Usage

HEAD = Head(200, ((b"etag", b"1"),), True, True, b"en", True, "upstream", None)


async def sent(*frames: bytes) -> AsyncGenerator[bytes, None]:
    for frame in frames:
        yield frame


@pytest.mark.parametrize("frame", [HEAD, LookAgain(1), GoAlone(), Fault("GatewayError", 502, "c", "m")])
async def test_a_first_frame_arrives_as_it_was_sent(frame: Frame) -> None:
    assert await first_of(sent(encode(frame))) == frame


@pytest.mark.parametrize("frames", [(), (b"",), (b"\xc1",), (b"\x91\x09",)])
async def test_what_is_no_first_frame_is_a_worker_that_is_not_there(frames: tuple[bytes, ...]) -> None:
    with pytest.raises(WorkerGone):
        await first_of(sent(*frames))


@given(st.lists(st.binary(min_size=1)))
async def test_a_body_arrives_as_it_was_sent(pieces: list[bytes]) -> None:
    body = Body()
    for piece in pieces:
        body.feed(piece)
    body.end()
    streamed = b"".join([piece async for piece in Pieces(frames_of(body))])
    whole = b"".join([piece async for piece in Pieces(frames_of(b"".join(pieces)))])

    assert streamed == whole == b"".join(pieces)


async def test_a_large_piece_is_sent_in_frames_that_the_bus_takes() -> None:
    body = Body()
    body.feed(bytes(3 << 20))
    body.end()
    frames = [frame async for frame in frames_of(body)]

    assert max(map(len, frames)) <= (1 << 20) + 1
    assert sum(map(len, frames)) == (3 << 20) + len(frames)


async def test_a_body_that_breaks_off_breaks_off_there_too() -> None:
    body = Body()
    body.feed(b"half")
    body.fail(UpstreamTimeout("idle", 3, sent=True))
    pieces = Pieces(frames_of(body))
    first = await anext(pieces)

    assert first == b"half"
    with pytest.raises(UpstreamError, match="idle timeout of 3 s") as raised:
        await anext(pieces)
    assert (raised.value.status, raised.value.phase) == (504, "idle")


async def test_pieces_that_nobody_reads_are_closed() -> None:
    frames = sent(b"\0one")
    await Pieces(frames).aclose()

    assert [frame async for frame in frames] == []


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("upstream_reset", "It broke.", phase="body", sent=False),
        ProviderError(429, "rate", "Slow.", kind="rate_limit", type="t", param="p", retry_after=2.5),
        ProviderError(500, "x", "y", kind="server", headers=[("retry-after", "1")]),
        GatewayError(503, "busy", "Busy.", retry_after=1, headers=[("a", "b")]),
    ],
)
def test_a_known_error_says_the_same_to_another_worker(error: GatewayError) -> None:
    told = error_of(fault_of(error))

    assert type(told) is type(error)
    assert vars(told) == vars(error)
    assert str(told) == str(error)


def test_an_unknown_error_is_told_without_its_words() -> None:
    told = error_of(fault_of(ValueError("a secret")))

    assert (told.status, told.code) == (502, "upstream_cut")
    assert "secret" not in told.message


@pytest.mark.parametrize(
    "error",
    [
        UpstreamTimeout("total", 1, sent=True),
        BadField("c", "m", "a.b"),
        ProviderError(400, "c", "m", kind="k"),
        ValueError("x", 1),
        OSError(2, "no"),
    ],
)
def test_a_fresh_error_equals_the_first_and_has_not_been_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        raise error
    copy = fresh(error)

    assert copy is not error
    assert type(copy) is type(error)
    assert (copy.args, vars(copy), copy.__traceback__) == (error.args, vars(error), None)


async def test_what_a_call_used_comes_behind_its_last_piece() -> None:
    usage = Usage(1, 2, 3, 4, 5)
    known, unknown = Pieces(frames_of(b"answer", lambda: usage)), Pieces(frames_of(b"answer", lambda: None))

    assert known.usage is None
    assert [piece async for piece in known] == [b"answer"]
    assert [piece async for piece in unknown] == [b"answer"]
    assert (known.usage, unknown.usage) == (usage, None)
