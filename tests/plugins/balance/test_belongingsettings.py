"""What may tell callers apart, and who goes back to makers."""

import pytest

from llmproxy.decode import decode_struct
from llmproxy.plugin import ConfigError
from llmproxy_balance.belongingsettings import AffinitySettings, OriginSettings


@pytest.mark.parametrize("by", ["sesion", "header:", ""])
def test_what_cannot_tell_callers_apart_is_refused(by):
    with pytest.raises(ConfigError, match=r"by\[1\]"):
        AffinitySettings(by=("tenant", by))


def test_following_can_be_left_off_in_a_word():
    assert decode_struct(OriginSettings, False, "origins") == OriginSettings(follow=False)
    assert decode_struct(OriginSettings, {"store": "shared"}, "origins") == OriginSettings(store="shared")
