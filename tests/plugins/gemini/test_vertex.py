"""Vertex by another host's name."""

import pytest

from llmproxy.plugin import UpstreamConfig
from llmproxy_gemini.vertex import VertexUpstream


@pytest.mark.parametrize(
    ("path", "publisher"),
    [("/v1/projects/p/locations/l", "publishers/google/"), ("/v1/publishers/google", "")],
)
def test_a_base_url_may_name_the_publisher(path, publisher):
    face = VertexUpstream().for_upstream(UpstreamConfig(base_url=f"http://private.test{path}"))

    assert isinstance(face, VertexUpstream)
    assert (face.vertex, face.publisher) == (True, publisher)


def test_a_token_is_a_bearer_s():
    assert VertexUpstream().credentials("t") == [(b"Authorization", b"Bearer t")]
