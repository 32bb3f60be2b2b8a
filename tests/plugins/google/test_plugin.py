"""The plugin offers its authorizer."""

from llmproxy.plugin import NoConfig, Registry
from llmproxy.registry import Registrations
from llmproxy_google.authorizer import make_authorizer
from llmproxy_google.config import GoogleOptions
from llmproxy_google.plugin import GooglePlugin


def test_it_offers_the_authorizer_google():
    into = Registrations()
    GooglePlugin("google", NoConfig()).register(Registry("google", into))

    assert (into.authorizers["google"].make, into.authorizers["google"].options) == (
        make_authorizer,
        GoogleOptions,
    )
