"""Faces that are imported when somebody needs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmproxy.caching.forms import Retells
from llmproxy.dialects import ClientFace, LocalUpstream, UpstreamFace
from llmproxy.plugin import UpstreamConfig
from llmproxy_anthropic.bedrock import InvokeClient, InvokeUpstream
from llmproxy_anthropic.clouds import bedrock_faces, vertex_faces
from llmproxy_anthropic.vertex import VertexClient, VertexUpstream

ROOT = Path(__file__).parents[3]
PAIRS = [(vertex_faces(), VertexClient, VertexUpstream), (bedrock_faces(), InvokeClient, InvokeUpstream)]


@pytest.mark.parametrize(("faces", "client", "upstream"), PAIRS)
def test_what_is_known_of_a_face_is_what_it_says_itself(faces, client, upstream):
    for late, real in zip(faces, (client(), upstream()), strict=True):
        for name in ("wire", "claims", "markers", "loss_names", "calls", "tool_names"):
            assert getattr(late, name, None) == getattr(real, name, None) or name == "calls"
    assert isinstance(faces[0], Retells) is isinstance(client(), Retells)
    assert not isinstance(faces[1], LocalUpstream)


@pytest.mark.parametrize(("faces", "client", "upstream"), PAIRS)
def test_all_else_is_asked_of_the_face_itself(faces, client, upstream):
    for late, protocol in zip(faces, (ClientFace, UpstreamFace), strict=True):
        names = [name for name in dir(protocol) if not name.startswith("_")]
        assert [name for name in names if getattr(late, name, None) is None] == []
    config = UpstreamConfig(base_url="https://x/v1/projects/p/locations/l")
    assert type(faces[1].for_upstream(config)) is upstream
    assert not hasattr(faces[0], "send")


def test_registering_imports_neither():
    code = """
import sys
from llmproxy.plugin import NoConfig, Registry
from llmproxy.registry import Registrations
from llmproxy_anthropic import AnthropicPlugin
from llmproxy.faces import Faces
from llmproxy.caching.deriving import Forms
into = Registrations()
AnthropicPlugin("anthropic", NoConfig()).register(Registry("anthropic", into))
Faces(into.client_faces).choose("/v1/messages", None)
Forms(into.upstream_faces, into.client_faces.values())
print([name for name in ("vertex", "bedrock", "frames", "envelopes") if f"llmproxy_anthropic.{name}" in sys.modules])
"""
    path = f"{ROOT / 'proxy'}:{ROOT / 'plugins'}"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path}, check=False
    )

    assert run.stdout == "[]\n", run.stderr
