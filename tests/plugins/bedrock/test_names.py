import msgspec

from llmproxy.canonical import GenerateRequest
from llmproxy_bedrock.names import LOSS_NAMES


def test_every_name_is_of_a_field_or_a_kind_of_block():
    fields = {field.name for field in msgspec.structs.fields(GenerateRequest)}
    heads = {name.partition(".")[0] for name in LOSS_NAMES}

    assert heads - fields <= {"content", "document", "reasoning", "tool_result"}
