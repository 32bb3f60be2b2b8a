"""The plugin offers its authorizer."""

from llmproxy.plugin import NoConfig, Registry
from llmproxy.registry import Registrations
from llmproxy_entra.authorizer import make_authorizer
from llmproxy_entra.config import EntraOptions
from llmproxy_entra.plugin import EntraPlugin


def test_it_offers_the_authorizer_entra():
    into = Registrations()
    EntraPlugin("entra", NoConfig()).register(Registry("entra", into))

    assert (into.authorizers["entra"].make, into.authorizers["entra"].options) == (
        make_authorizer,
        EntraOptions,
    )
