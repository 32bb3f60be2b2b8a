"""Names of callers' users."""

from __future__ import annotations

from llmproxy.canonical import Losses
from llmproxy_openai.users import written_user


def test_a_name_that_fits_stays():
    losses = Losses()

    assert written_user("u" * 64, losses) == "u" * 64
    assert not list(losses)


def test_a_longer_one_is_its_digest_each_time_the_same_and_that_is_told():
    losses = Losses()
    told = written_user("u" * 65, losses)

    assert told == written_user("u" * 65, Losses()) != written_user("u" * 66, Losses())
    assert len(told) == 64
    assert [loss.field for loss in losses] == ["user"]
