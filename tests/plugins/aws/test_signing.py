"""Signatures, by AWS's own published vectors and beside botocore's own."""

import datetime
import hashlib
import logging
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_aws.signing import Signer

VECTORS = orjson.loads(Path(__file__).with_name("vectors.json").read_bytes())["vectors"]


@pytest.fixture
def at(monkeypatch):
    def stop(text):
        moment = datetime.datetime.fromisoformat(text.removesuffix("Z"))
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)

    return stop


def told(vector):
    """Return a vector's request: method, URL, the fields that are signed, the body."""
    head, _, body = vector["request"].partition("\n\n")
    line, *lines = head.rstrip("\n").split("\n")
    method, _, target = line.removesuffix(" HTTP/1.1").partition(" ")
    path, mark, query = target.partition("?")
    fields = []
    for each in lines:
        name, colon, value = each.partition(":")
        if each[:1].isspace() or not colon:
            fields[-1] = (fields[-1][0], fields[-1][1] + b" " + each.strip().encode())
        else:
            fields.append((name.encode(), value.encode()))
    if vector["sign_body"]:
        fields.append((b"x-amz-content-sha256", hashlib.sha256(body.encode()).hexdigest().encode()))
    url = "https://example.amazonaws.com" + path + mark + quote(query, safe="-._~%=&+")
    return method, url, fields, body.encode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_published_vector_is_signed_as_published(vector, at):
    at(vector["timestamp"])
    token = None if vector["omit_token"] else vector["token"]
    keys = ReadOnlyCredentials(vector["access_key"], vector["secret_key"], token)

    added = dict(Signer(keys, vector["service"], vector["region"]).sign(*told(vector)))

    scope = "/".join([vector["access_key"], vector["timestamp"][:10].replace("-", "")])
    assert added[b"X-Amz-Date"] == b"20150830T123600Z"
    assert added[b"Authorization"].decode().startswith(f"AWS4-HMAC-SHA256 Credential={scope}/us-east-1/")
    assert added[b"Authorization"].decode().endswith(f"Signature={vector['signature'].strip()}")


def test_all_published_vectors_are_there():
    assert len(VECTORS) == 31


@given(
    st.sampled_from(["GET", "POST"]),
    st.text("abcdefgh/%3A:._~-+ ", max_size=30).map(lambda text: "/" + quote(text, safe="/%:+")),
    st.lists(st.tuples(st.text("a b%é=&", max_size=4), st.text("c:/+ é", max_size=4)), max_size=3),
    st.binary(max_size=100),
    st.sampled_from([None, "token+/="]),
)
def test_it_is_the_signature_that_botocore_makes(method, path, query, body, token):
    keys = ReadOnlyCredentials("AKID", "secret", token)
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
    url = f"https://bedrock-runtime.eu-west-1.amazonaws.com:8443{path}" + (f"?{text}" if text else "")
    fields = [(b"Content-Type", b"application/json"), (b"X-Amz-Custom", b"  a   b ")]
    plain = AWSRequest(method, url, {name.decode(): value.decode() for name, value in fields}, data=body)
    SigV4Auth(keys, "bedrock", "eu-west-1").add_auth(plain)

    host = (b"host", b"bedrock-runtime.eu-west-1.amazonaws.com:8443")
    added = dict(Signer(keys, "bedrock", "eu-west-1").sign(method, url, [host, *fields], body))

    if added[b"X-Amz-Date"].decode() == plain.headers["X-Amz-Date"]:
        assert added[b"Authorization"].decode() == plain.headers["Authorization"]


def test_the_key_is_another_each_day(at):
    keys = ReadOnlyCredentials("AKID", "secret", None)
    signer = Signer(keys, "bedrock", "eu-west-1")
    told_of = ("GET", "https://x.amazonaws.com/", [(b"host", b"x.amazonaws.com")], b"")
    days = []
    for day in ("2026-01-01T00:00:00", "2026-01-02T00:00:00", "2026-01-01T00:00:00"):
        at(day)
        days.append(dict(signer.sign(*told_of))[b"Authorization"])
        assert days[-1] == dict(Signer(keys, "bedrock", "eu-west-1").sign(*told_of))[b"Authorization"]

    assert days[0] == days[2] != days[1]


def test_nothing_that_is_signed_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    keys = ReadOnlyCredentials("AKID", "secret", "a-session-token")
    signer = Signer(keys, "bedrock", "eu-west-1")
    signer.sign("GET", "https://x.amazonaws.com/", [(b"host", b"x.amazonaws.com")], b"")

    assert "a-session-token" not in caplog.text
    assert repr(signer) == "<Signer>"


def test_a_query_is_signed_in_one_spelling_whatever_is_sent(at):
    at("2026-01-01T00:00:00")
    signer = Signer(ReadOnlyCredentials("AKID", "secret", None), "bedrock", "eu-west-1")
    signed = {
        dict(signer.sign("GET", f"https://x.amazonaws.com/?{query}", [(b"host", b"x")], b""))[
            b"Authorization"
        ]
        for query in ("b=arn:aws:x/y&a", "a=&b=arn%3Aaws%3ax%2Fy", "a&b=%61rn:aws:x%2fy")
    }

    assert len(signed) == 1
