from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.shapes import Shapes, ShapesConfig


def test_what_is_not_said_is_as_openai_has_it():
    shapes = Shapes(ShapesConfig())

    assert shapes.write("message", {"role": "user", "content": "x"}) == {"role": "user", "content": "x"}
    assert shapes.write("tool", {"name": "t"}) == {"type": "function", "function": {"name": "t"}}
    assert not shapes.has("image")


def test_a_shape_is_a_template():
    shapes = Shapes(ShapesConfig(message=["{role}", "{text}"], image={"b64": "{data}"}))

    assert shapes.write("message", {"role": "user", "text": "x"}) == ["user", "x"]
    assert shapes.write("message", {}) is None
    assert shapes.uses("image", "data")
    assert not shapes.uses("image", "url")


def test_an_unknown_value_is_told_where_it_stands():
    with pytest.raises(ConfigErrors, match=r"shapes.message.who: \{roel\} is not known.*did you mean 'role'"):
        decode_struct(ShapesConfig, {"message": {"who": "{roel}"}}, "shapes")
