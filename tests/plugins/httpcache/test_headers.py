from __future__ import annotations

from llmproxy_httpcache.headers import Fields, storable


def test_lines_of_one_name_are_one_list() -> None:
    fields = Fields([(b"Vary", b"a"), (b"Age", b"1"), (b"vary", b"b, c")])

    assert fields.get(b"vary") == b"a, b, c"
    assert fields.get(b"age") == b"1"
    assert fields.get(b"etag") is None
    assert fields.lines(b"vary") == [b"a", b"b, c"]


def test_fields_of_one_hop_and_those_it_names_are_not_kept() -> None:
    raw = [
        (b"Connection", b"a, B"),
        (b"a", b"1"),
        (b"b", b"2"),
        (b"c", b"3"),
        (b"Keep-Alive", b"x"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Proxy-Authentication-Info", b"x"),
        (b"Content-Length", b"3"),
        (b"Secret", b"s"),
    ]

    assert storable(raw, (b"secret",)) == [(b"c", b"3")]
