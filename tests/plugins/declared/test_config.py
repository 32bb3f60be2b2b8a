from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import decode_struct
from llmproxy.formats import parse
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.config import DeclaredConfig

from .conftest import EXAMPLE, minimal

ONLY_EMBED = {"embed": {"path": "/e", "body": {"t": "{inputs}"}, "vectors": "/v"}}


def declare(tree: Any) -> DeclaredConfig:
    return decode_struct(DeclaredConfig, tree, "plugins.house")


def test_every_dialect_of_the_example_is_one():
    tree: Any = parse(EXAMPLE.read_text(), "yaml")
    for name, plugin in tree["plugins"].items():
        assert declare({key: value for key, value in plugin.items() if key != "use"}), name


def test_three_lines_are_enough():
    config = declare(minimal())

    assert config.request().sources == {"prompt"}
    assert config.credentials == {"Authorization": "Bearer {api_key}"}


def test_embeddings_alone_are_a_dialect():
    assert declare(ONLY_EMBED).answer is None


def test_a_stream_may_ask_otherwise():
    config = declare(
        minimal(stream={"path": "/s", "query": {"x": "{n}"}, "body": {"p": "{messages}"}, "end": "/d"})
    )

    assert config.request(streamed=True).sources == {"n", "messages"}
    assert config.request().sources == {"prompt"}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "plugins.house.answer: missing"),
        ({"path": "/x", **ONLY_EMBED}, "plugins.house.answer: missing, so that nothing"),
        (minimal(path=""), "plugins.house.path: missing"),
        (minimal(body={"x": 1}), "plugins.house.body: holds neither"),
        (minimal(body={"q": "{prompt}", "t": {"x": "{sed}"}}), "plugins.house.body.t.x: .*did you mean 'seed'"),
        (minimal(answer="output"), "plugins.house.answer.text: .*did you mean '/output'"),
        (minimal(answers="/a"), "plugins.house.answers: unknown key.*did you mean 'answer'"),
        (minimal(stream={"text": "/d"}), "plugins.house.stream.end: missing"),
        (minimal(stream={"text": "/d", "path": "s", "end": "/e"}), "plugins.house.stream.path: .*slash"),
        (minimal(words={"rol": {}}), "plugins.house.words.rol: .*did you mean 'role'"),
        (minimal(credentials={"X-Key": "abc"}), "plugins.house.credentials.X-Key: holds no"),
        (minimal(credentials={"X Key": "{api_key}"}), "plugins.house.credentials.X Key: .* is not a header name"),
        (minimal(method="FETCH"), "plugins.house.method: expected"),
        (minimal(errors={"when": {"status": 1}}), "plugins.house.errors.when: .*did you mean '/status'"),
        (minimal(prompt={"user": "{text"}), "plugins.house.prompt.user: .*stands alone"),
        ({"embed": {"path": "/e", "vectors": "/v"}}, "plugins.house.embed.body: holds neither"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_the_nearest_name(tree, message):
    with pytest.raises(ConfigErrors, match=message):
        declare(tree)
