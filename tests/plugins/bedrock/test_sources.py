import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import FileRef, Inline, Link, Losses
from llmproxy.plugin import BadField
from llmproxy_bedrock.sources import read_source, standard_base64, write_source

S3 = "s3://bucket/a.png"


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({"bytes": "AAAA"}, Inline(media_type="image/png", data="AAAA")),
        ({"s3Location": {"uri": S3}}, FileRef(id=S3, dialect="bedrock", media_type="image/png")),
    ],
)
def test_a_source_is_read_and_written(told, source):
    assert read_source(told, "image/png", "x", None) == source
    assert write_source(source) == told


def test_a_buckets_owner_is_told_as_lost():
    losses = Losses()
    read_source({"s3Location": {"uri": S3, "bucketOwner": "1"}}, "image/png", "x", losses)

    assert [loss.field for loss in losses] == ["x.s3Location.bucketOwner"]


@pytest.mark.parametrize("told", [{}, {"url": "x"}, {"bytes": 1}, {"bytes": "A", "s3Location": {}}])
def test_another_source_is_refused(told):
    with pytest.raises(BadField):
        read_source(told, "image/png", "x", None)


def test_only_amazons_buckets_and_bytes_can_be_written():
    assert write_source(Link(url=S3)) == {"s3Location": {"uri": S3}}
    assert write_source(Link(url="https://x")) is None
    assert write_source(FileRef(id="file_1", dialect="openai")) is None


@given(st.binary(max_size=50))
def test_base64_of_urls_becomes_plain(data):
    given = base64.urlsafe_b64encode(data).decode().rstrip("=")

    assert base64.b64decode(standard_base64(given), validate=True) == data
