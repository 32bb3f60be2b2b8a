from __future__ import annotations

import msgspec

from llmproxy.canonical import GenerateRequest
from llmproxy_openai.responses.loss_names import LOSS_NAMES


def test_what_a_request_holds_is_known_by_the_callers_names() -> None:
    fields = {field.name for field in msgspec.structs.fields(GenerateRequest)}
    outer = {name for name in LOSS_NAMES if "." not in name}

    assert outer - fields == {"reasoning"}
    assert LOSS_NAMES["max_tokens"] == "max_output_tokens"
