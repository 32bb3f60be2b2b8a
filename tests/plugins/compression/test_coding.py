from __future__ import annotations

import pytest

from llmproxy.plugin import Body
from llmproxy_compression.coders import CODERS
from llmproxy_compression.coding import PIECE, compressed

from .unpacking import unpacked


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_a_body_is_whole_when_it_is_unpacked(coding: str, size: int) -> None:
    plain = bytes(range(256)) * (size // 256 + 1)
    plain = plain[:size]
    body = compressed(plain, coding)
    data = await body.read(1 << 24) if isinstance(body, Body) else body

    assert isinstance(body, Body) is (size > PIECE)
    assert unpacked(data, coding) == plain


async def test_a_body_that_breaks_off_breaks_off() -> None:
    source = Body()
    body = compressed(source, "gzip")
    assert isinstance(body, Body)
    source.feed(b"x" * 100)
    source.fail(ConnectionError("gone"))

    with pytest.raises(ConnectionError, match="gone"):
        await body.read(1 << 20)


async def test_a_view_of_a_store_is_a_body() -> None:
    assert unpacked(compressed(memoryview(b"abc"), "br"), "br") == b"abc"  # type: ignore[arg-type]
