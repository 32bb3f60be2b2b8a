from llmproxy.testing import PluginContract
from llmproxy_anthropic import AnthropicPlugin


class TestContract(PluginContract):
    plugin_class = AnthropicPlugin


def test_it_is_named_for_the_dialect():
    assert AnthropicPlugin.__doc__.startswith("The dialect `anthropic`")
