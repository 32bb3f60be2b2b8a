from __future__ import annotations

from llmproxy.canonical import EmbedRequest, GenerateRequest, Losses, RerankRequest
from llmproxy_cohere.names import LOSS_NAMES


def test_losses_are_told_by_the_callers_names() -> None:
    losses = Losses(LOSS_NAMES)
    losses.lose("stop")
    losses.lose("top_k")

    assert [loss.field for loss in losses] == ["stop_sequences", "k"]


def test_plain_names_are_fields_of_a_request() -> None:
    plain = {name for name in LOSS_NAMES if "." not in name}
    fields = {
        name for kind in (GenerateRequest, EmbedRequest, RerankRequest) for name in kind.__struct_fields__
    }

    assert plain - {"reasoning"} <= fields
