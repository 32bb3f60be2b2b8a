from __future__ import annotations

import pytest

from llmproxy.canonical import GenerateRequest, Losses
from llmproxy.plugin import BadRequest
from llmproxy_ollama.options import read_options, write_options

SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "seed": 42,
    "frequency_penalty": 0.2,
    "presence_penalty": 0.3,
}


def read(**options):
    losses = Losses()
    return read_options({"options": options}, losses), [loss.field for loss in losses]


def test_options_are_read_and_written_back():
    found, lost = read(**SAMPLING, num_predict=7, stop=["x"])

    assert not lost
    assert found == {**SAMPLING, "max_tokens": 7, "stop": ("x",)}
    again = write_options(GenerateRequest(model="m", **found))
    assert again == {**SAMPLING, "num_predict": 7, "stop": ["x"]}


@pytest.mark.parametrize("most", [-1, -2])
def test_below_zero_there_is_no_bound(most):
    assert read(num_predict=most)[0]["max_tokens"] is None


def test_zero_penalties_say_nothing():
    assert read(frequency_penalty=0.0)[0]["frequency_penalty"] is None


def test_what_belongs_to_a_machine_is_reported():
    assert read(num_ctx=8192, repeat_penalty=1.1)[1] == ["options.num_ctx", "options.repeat_penalty"]


def test_nothing_said_is_nothing_written():
    assert write_options(GenerateRequest(model="m")) == {}


def test_what_is_broken_is_refused():
    with pytest.raises(BadRequest, match=r"options\.temperature"):
        read(temperature="hot")
