"""The plugin offers its authorizer."""

from llmproxy.plugin import NoConfig, Registry
from llmproxy.registry import Registrations
from llmproxy_aws.authorizer import make_authorizer
from llmproxy_aws.config import AwsOptions
from llmproxy_aws.plugin import AwsPlugin


def test_it_offers_the_authorizer_aws():
    into = Registrations()
    AwsPlugin("aws", NoConfig()).register(Registry("aws", into))

    assert (into.authorizers["aws"].make, into.authorizers["aws"].options) == (make_authorizer, AwsOptions)
