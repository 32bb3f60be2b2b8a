"""The plugin offers its authorizer."""

from llmproxy.plugin import NoConfig, Registry, UpstreamConfig
from llmproxy.registry import Registrations
from llmproxy_entra.authorizer import EntraAuthorizer
from llmproxy_entra.config import EntraOptions
from llmproxy_entra.plugin import EntraPlugin


def test_it_offers_the_authorizer_entra():
    into = Registrations()
    EntraPlugin("entra", NoConfig()).register(Registry("entra", into))

    kind = into.authorizers["entra"]
    made = kind.make(UpstreamConfig(base_url="https://mine.openai.azure.com"), EntraOptions(managed=True))
    assert kind.options is EntraOptions
    assert type(made) is EntraAuthorizer
