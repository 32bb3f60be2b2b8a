"""What cannot be meant is refused where it is written."""

import pytest

from llmproxy.plugin import ConfigError, Secret
from llmproxy_entra.config import EntraOptions, is_safe


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tenant": "a/b"}, "tenant"),
        ({"client_secret": Secret("s"), "token_file": "/x"}, "token_file"),
        ({"managed": True, "client_secret": Secret("s")}, "client_secret"),
        ({"managed": True, "tenant": "mine"}, "tenant"),
        ({"scope": "a b"}, "scope"),
        ({"authority": "http://login.example.com"}, "authority"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, named):
    with pytest.raises(ConfigError) as fault:
        EntraOptions(**options)

    assert fault.value.path == named


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.example.com", True),
        ("http://127.0.0.1:80", True),
        ("http://[::1]", True),
        ("http://example.com", False),
        ("ftp://localhost", False),
        ("https://[x", False),
        ("", False),
    ],
)
def test_secrets_go_by_https_or_nowhere(url, safe):
    assert is_safe(url) is safe
