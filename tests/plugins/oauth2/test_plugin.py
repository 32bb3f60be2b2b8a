"""The plugin offers its authorizer."""

from llmproxy.plugin import NoConfig, Registry
from llmproxy.registry import Registrations
from llmproxy_oauth2.authorizer import make_authorizer
from llmproxy_oauth2.config import OAuth2Options
from llmproxy_oauth2.plugin import OAuth2Plugin


def test_it_offers_the_authorizer_oauth2():
    into = Registrations()
    OAuth2Plugin("oauth2", NoConfig()).register(Registry("oauth2", into))

    kind = into.authorizers["oauth2"]
    assert (kind.make, kind.options) == (make_authorizer, OAuth2Options)
