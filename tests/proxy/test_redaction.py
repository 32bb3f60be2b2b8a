import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.redaction import REDACTED, redact, redact_config, redact_text
from llmproxy.references import Secret

SECRET = "Zq8vT0kXw4Rb7Jm2Ns"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "Proxy-Authorization",
        "api_key",
        "x-api-key",
        "x-goog-api-key",
        "apikey",
        "token",
        "access_token",
        "client_secret",
        "Set-Cookie",
        "cookie",
        "password",
    ],
)
def test_a_sensitive_name_hides_its_value(name):
    found = redact({"safe": "shown", name: SECRET, "headers": {name: [SECRET]}})

    assert found == {"safe": "shown", name: REDACTED, "headers": {name: REDACTED}}


def test_numbers_stay_under_any_name():
    fields = {"first_token": 1.5, "token": 3, "secret": None, "cookie": True}

    assert redact(fields) == fields


def test_a_secret_shows_its_reference_wherever_it_stands():
    secret = Secret(SECRET, "${env:KEY}")

    assert redact({"a": secret, "b": [secret, {"c": secret}]}) == {
        "a": "${env:KEY}",
        "b": ["${env:KEY}", {"c": "${env:KEY}"}],
    }


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"Invalid header value: b'Authorization: Bearer {SECRET}'",
        f"bad line: b'Authorization:{SECRET}'",
        f'{{"api_key": "{SECRET}", "x": 1}}',
        f"x-api-key: {SECRET}, other: fine",
        f"https://host/path?api_key={SECRET}&x=1",
        f"Cookie: a=b; c={SECRET}",
        f"incorrect key provided: sk-proj-{SECRET}",
        f"token: Bearer {SECRET}",
        f"password={SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    ],
)
def test_a_credential_inside_a_text_is_cut_out(text):
    assert SECRET not in redact_text(text)
    assert SECRET not in redact_text(text + " and much more to say about it" * 5)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=100 first_token: 30",
        "the token is wrong",
        "/v1/chat/completions",
        "gpt-4o-mini",
        "main:200",
        'upstreams.main.api_key: environment variable "OPENAI_API_KEY" is not set',
        "admin.token: shorter than 16 characters",
        "admin.token: a secret is not written out; write it as ${env:NAME} or ${file:PATH}",
        "the upstream exceeded its first_token timeout of 30 s.",
    ],
)
def test_plain_words_stay(text):
    assert redact_text(text) == text


@pytest.mark.parametrize("userinfo", [f"user:{SECRET}", f":{SECRET}", SECRET, f"a:{SECRET}@b"])
def test_a_url_loses_its_user_and_password(userinfo):
    assert redact_text(f"proxy http://{userinfo}@host:3128/x@y") == f"proxy http://{REDACTED}@host:3128/x@y"


def test_bytes_and_objects_are_read_as_text():
    class Thing:
        def __str__(self):
            return f"Bearer {SECRET}"

    assert redact({"a": f"Bearer {SECRET}".encode(), "b": Thing()}) == {
        "a": f"Bearer {REDACTED}",
        "b": f"Bearer {REDACTED}",
    }


def test_nesting_ends_somewhere():
    loop = []
    loop.append(loop)

    assert "..." in str(redact({"a": loop}))


VALUES = st.recursive(st.text(max_size=30) | st.binary(max_size=9) | st.integers(), st.lists, max_leaves=4)


@given(st.dictionaries(st.text(max_size=9), VALUES, max_size=3))
def test_anything_can_be_redacted(fields):
    assert redact(fields).keys() == fields.keys()


def test_a_configuration_shows_references_and_hides_what_is_written_out():
    tree = {
        "api_key": "${env:KEY}",
        "headers": {"Authorization": SECRET, "X-Team": "a", "Cookie": f"$${{{SECRET}"},
        "list": [{"token": SECRET}, f"Bearer {SECRET}"],
        "token_limit": 5,
        "timeouts": {"first_token": "2m"},
    }

    assert redact_config(tree) == {
        "api_key": "${env:KEY}",
        "headers": {"Authorization": REDACTED, "X-Team": "a", "Cookie": REDACTED},
        "list": [{"token": REDACTED}, f"Bearer {REDACTED}"],
        "token_limit": 5,
        "timeouts": {"first_token": "2m"},
    }
