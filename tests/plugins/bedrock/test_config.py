import msgspec
import pytest

from llmproxy_bedrock.config import BedrockConfig


def test_there_is_nothing_to_configure():
    assert msgspec.convert({}, BedrockConfig) == BedrockConfig()


def test_an_unknown_key_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"key": 1}, BedrockConfig)
