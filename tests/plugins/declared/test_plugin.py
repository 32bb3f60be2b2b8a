from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigError
from llmproxy.registry import Registrations, Registry
from llmproxy_declared import DeclaredPlugin
from llmproxy_declared.config import DeclaredConfig
from llmproxy_declared.upstream import DeclaredUpstream

from .conftest import minimal


def plugin(**config: object) -> DeclaredPlugin:
    return DeclaredPlugin("house", decode_struct(DeclaredConfig, minimal(**config), "plugins.house"))


def test_an_instance_is_a_dialect_of_its_name():
    into = Registrations()
    plugin().register(Registry("house", into))

    face = into.upstream_faces["house"]
    assert isinstance(face, DeclaredUpstream)
    assert face.wire == "declared:house"


def test_a_dialect_that_is_installed_keeps_its_name():
    config = decode_struct(DeclaredConfig, minimal(), "plugins.openai")

    with pytest.raises(ConfigError, match=r"plugins.openai: is the name of an installed dialect"):
        DeclaredPlugin("openai", config).register(Registry("openai", Registrations()))
