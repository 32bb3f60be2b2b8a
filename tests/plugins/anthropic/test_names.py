from llmproxy.canonical import GenerateRequest, Losses
from llmproxy_anthropic.names import LOSS_NAMES


def test_losses_are_told_by_the_callers_names():
    losses = Losses(LOSS_NAMES)
    losses.lose("stop")
    losses.lose("top_k")

    assert [loss.field for loss in losses] == ["stop_sequences", "top_k"]


def test_plain_names_are_fields_of_a_request():
    plain = {name for name in LOSS_NAMES if "." not in name}

    assert plain - {"reasoning"} <= set(GenerateRequest.__struct_fields__)
