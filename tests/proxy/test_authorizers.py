"""An authorizer is offered by a plugin under a name that is its own."""

import pytest

from llmproxy.authorizers import AuthorizerKind
from llmproxy.plugin import NoConfig, Registry, StartError
from llmproxy.registry import Registrations


def make(config, options):
    raise NotImplementedError


def test_an_authorizer_is_kept_by_its_name_with_what_its_options_are():
    into = Registrations()
    Registry("tickets", into).authorizer("tickets", make)

    assert into.authorizers == {"tickets": AuthorizerKind(make, NoConfig)}


def test_a_name_that_is_taken_is_refused_by_the_plugin_that_wanted_it():
    into = Registrations()
    Registry("one", into).authorizer("tickets", make)

    with pytest.raises(StartError, match="plugin 'two': authorizer 'tickets' is registered already"):
        Registry("two", into).authorizer("tickets", make)
