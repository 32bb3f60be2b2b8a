import pytest

from llmproxy.canonical import Losses
from llmproxy.canonical.voices import googles_voice, openais_voice


def test_a_voice_is_spoken_by_one_that_sounds_alike_and_that_is_told() -> None:
    losses = Losses()

    assert googles_voice("alloy", losses) == "Kore"
    assert openais_voice("KORE", losses) == "alloy"
    assert "voice" in losses


@pytest.mark.parametrize("name", ["", "my-own-voice"])
def test_a_voice_that_nobody_knows_stays(name: str) -> None:
    losses = Losses()

    assert googles_voice(name, losses) == openais_voice(name, losses) == name
    assert len(losses) == 0
