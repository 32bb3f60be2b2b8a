import pytest

from llmproxy.caching.status import CacheStatus


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (CacheStatus(ttl=30), b"llmproxy; hit; ttl=30"),
        (CacheStatus("miss", 200, 60, stored=True), b"llmproxy; fwd=miss; fwd-status=200; ttl=60; stored"),
        (CacheStatus("miss", collapsed=True), b"llmproxy; fwd=miss; collapsed"),
        (
            CacheStatus("stale", 503, -5, detail="if-error"),
            b'llmproxy; fwd=stale; fwd-status=503; ttl=-5; detail="if-error"',
        ),
        (CacheStatus("bypass", key='a"b\\c\nd\u00e9'), b'llmproxy; fwd=bypass; key="a\\"b\\\\cd"'),
    ],
)
def test_a_status_is_written_as_a_structured_field(status: CacheStatus, text: bytes) -> None:
    assert status.value() == text


def test_the_cache_may_have_a_name_of_its_own() -> None:
    assert CacheStatus().value(b"edge") == b"edge; hit"
