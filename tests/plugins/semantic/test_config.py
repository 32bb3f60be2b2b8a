import msgspec
import pytest

from llmproxy_semantic.config import SemanticConfig, SemanticRoute


def test_nothing_need_be_said() -> None:
    assert msgspec.convert({}, SemanticConfig) == SemanticConfig()
    assert msgspec.convert({}, SemanticRoute).policy == "canonical"


def test_a_policy_that_there_is_not_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="policy"):
        msgspec.convert({"policy": "bold"}, SemanticRoute)
