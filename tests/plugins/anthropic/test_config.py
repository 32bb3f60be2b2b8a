from llmproxy_anthropic.config import AnthropicConfig


def test_there_is_nothing_to_set():
    assert AnthropicConfig() == AnthropicConfig()
