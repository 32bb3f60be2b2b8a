"""Checks that what comes out of a stream does not depend on how it was cut into reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from llmproxy.sse import Framer, parse

if TYPE_CHECKING:
    from llmproxy.hooks import EventTransform


class BytesFeeder(Protocol):
    """A sans-io object that takes and gives bytes."""

    def feed(self, data: bytes) -> bytes | Iterable[bytes]:
        """Return what can leave after `data`."""

    def close(self) -> bytes | Iterable[bytes]:
        """Return what was held back until the end."""


class TransformFeeder:
    """Run an event transform on a stream of bytes, framed as the gateway frames it."""

    def __init__(self, transform: EventTransform) -> None:
        self._transform = transform
        self._framer = Framer()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the encoded events that leave after `data`."""
        for block in self._framer.feed(data):
            for event in self._transform.feed(parse(block)):
                yield event.encode()

    def close(self) -> Iterator[bytes]:
        """Yield what the transform held back, after what no blank line ended."""
        if rest := self._framer.close():
            yield rest
        for event in self._transform.close():
            yield event.encode()


def assert_split_invariant(make_transform: Callable[[], EventTransform], corpus: bytes) -> None:
    """Assert that an event transform gives the same output at every cut of `corpus`, and byte by byte."""
    assert_bytes_invariant(lambda: TransformFeeder(make_transform()), corpus)


def assert_bytes_invariant(make_feeder: Callable[[], BytesFeeder], corpus: bytes) -> None:
    """Assert the same of an object that takes bytes: an encoder, a decoder, a tap."""
    whole = _run(make_feeder(), [corpus])
    for place in range(1, len(corpus)):
        _compare(whole, _run(make_feeder(), [corpus[:place], corpus[place:]]), f"cut at byte {place}")
    single = [corpus[at : at + 1] for at in range(len(corpus))]
    _compare(whole, _run(make_feeder(), single), "fed byte by byte")


def _run(feeder: BytesFeeder, chunks: Iterable[bytes]) -> bytes:
    out = [_joined(feeder.feed(chunk)) for chunk in chunks]
    return b"".join(out) + _joined(feeder.close())


def _joined(out: bytes | Iterable[bytes]) -> bytes:
    return out if isinstance(out, bytes) else b"".join(out)


def _compare(whole: bytes, cut: bytes, how: str) -> None:
    if whole == cut:
        return
    pairs = zip(whole, cut, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(whole), len(cut)))
    near = slice(max(0, at - 20), at + 40)
    raise AssertionError(
        f"{how}, the output differs from byte {at} on: {cut[near]!r} instead of {whole[near]!r} (in one read)"
    )
