"""What strangers make too large or too deep for one who translates it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from llmproxy.errors import BadRequest, GatewayError

#: Bytes of a body that are worth a thread.
_LARGE: Final = 256 * 1024
#: What orjson says, which has no error of its own for it.
_DEEP: Final = "Recursion limit reached"

Done = TypeVar("Done")


async def aside(body: bytes, work: Callable[[], Done]) -> Done:
    """Do what a body asks for; where it is large, in a thread.

    One that is made of small things takes half a second a megabyte, in which nobody else would be served.
    """
    return await asyncio.to_thread(work) if len(body) > _LARGE else work()


def _too_complex() -> GatewayError:
    return BadRequest("too_complex", "The request is nested too deeply to be translated.")


class Depth:
    """Turns what is nested too deeply for the code inside into an error like any other."""

    __slots__ = ("_told",)

    def __init__(self, told: Callable[[], GatewayError] = _too_complex) -> None:
        self._told = told

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, RecursionError) or (isinstance(fault, TypeError) and str(fault) == _DEEP):
            raise self._told() from fault
