from __future__ import annotations

import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.finishing import FinishConfig, FinishReader


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("eos_token", ("stop", "eos_token")),
        ("MAX_TOKENS", ("length", "MAX_TOKENS")),
        ("ENOUGH", ("length", "ENOUGH")),
        ("who knows", ("stop", "who knows")),
        (None, None),
        ("", None),
        (True, ("stop", "")),
        (False, None),
        (3, ("stop", "3")),
    ],
)
def test_a_word_has_its_meaning(word, expected):
    reader = FinishReader(FinishConfig(at="/why", words={"ENOUGH": "length"}))

    assert reader.read({"why": word}) == expected


def test_nothing_is_read_where_nothing_is_declared():
    assert FinishReader(None).read({"finish_reason": "stop"}) is None


def test_a_path_alone_is_the_place():
    assert decode_struct(FinishConfig, "/why").at == "/why"


def test_a_meaning_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(ConfigErrors, match=r"finish.words.X: 'lenght' is not one of .*did you mean 'length'"):
        decode_struct(FinishConfig, {"at": "/x", "words": {"X": "lenght"}}, "finish")
