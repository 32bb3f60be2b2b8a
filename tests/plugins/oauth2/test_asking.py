"""What a token server is asked, and what its answer means."""

import base64
import contextlib
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import CredentialsAway, Secret
from llmproxy_oauth2.asking import granted, question_of
from llmproxy_oauth2.config import OAuth2Options


def options(**more):
    return OAuth2Options(
        token_url="https://login.test/token", client_id="me:too", client_secret=Secret("a+b c"), **more
    )


def test_id_and_secret_go_encoded_in_the_header():
    headers, body = question_of(options(scopes=("a", "b"), audience="api", form={"tenant": "t"}))
    pair = base64.b64decode(dict(headers)[b"Authorization"].removeprefix(b"Basic "))

    assert pair == b"me%3Atoo:a%2Bb+c"
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "audience": ["api"],
        "tenant": ["t"],
    }


def test_or_in_the_form():
    headers, body = question_of(options(credentials="form", resource="https://api.test"))

    assert b"Authorization" not in dict(headers)
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me:too"],
        "client_secret": ["a+b c"],
        "resource": ["https://api.test"],
    }


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"expires_in": 60}, 60),
        ({"expires_in": "60"}, 60),
        ({}, 300),
        ({"expires_in": None}, 300),
        ({"expires_in": 1e9}, 86400),
    ],
)
def test_a_token_and_its_life_are_read(told, seconds):
    assert granted(200, {"access_token": "t.1", "token_type": "bearer", **told}) == (b"t.1", seconds)


@pytest.mark.parametrize(
    ("status", "told", "text"),
    [
        (401, {"error": "invalid_client", "error_description": "secret a+b"}, "answers 401 invalid_client"),
        (400, {"error": "Some secret text"}, "answers 400"),
        (200, None, "answers 200"),
        (200, {"access_token": "a\r\nb"}, "no bearer token"),
        (200, {"access_token": "a", "token_type": "mac"}, "no bearer token"),
    ],
)
def test_what_holds_no_token_is_told_without_its_texts(status, told, text):
    with pytest.raises(CredentialsAway) as fault:
        granted(status, told)
    assert str(fault.value).endswith(text)


@given(
    st.integers(100, 599),
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.dictionaries(st.sampled_from(["access_token", "error", "expires_in"]), inner),
    ),
)
def test_any_answer_is_a_token_or_none(status, told):
    with contextlib.suppress(CredentialsAway):
        assert granted(status, told).value
