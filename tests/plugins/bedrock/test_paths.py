import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest
from llmproxy_bedrock.paths import Call, beside_models, call_of, target, written

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1d"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/model/m/converse", Call("m", "m", "converse")),
        ("/model/us.x-v1%3A0/converse-stream", Call("us.x-v1:0", "us.x-v1%3A0", "converse-stream")),
        ("/team/model/m/invoke", Call("m", "m", "invoke")),
        (f"/model/{ARN}/converse", Call(ARN, ARN, "converse")),
        ("/model/m/invoke-with-response-stream", Call("m", "m", "invoke-with-response-stream")),
        ("/model/m/count-tokens", Call("m", "m", "count-tokens")),
        ("/model/m/other", None),
        ("/model//converse", None),
        ("/converse", None),
        ("/guardrail/g/version/1/apply", None),
    ],
)
def test_a_path_says_which_model_is_called_and_how(path, expected):
    assert call_of(path) == expected


@given(st.text(min_size=1, max_size=40))
def test_a_name_that_is_written_is_read_again(name):
    try:
        path = target(written(name), "converse")
    except BadRequest:
        return
    call = call_of(path)

    assert call is not None
    assert call.model == name
    assert path.count("/") == 3


@pytest.mark.parametrize("name", ["", "..", "a/../b", ".", "..\\x", "a/.."])
def test_a_name_that_leads_out_of_the_path_is_refused(name):
    with pytest.raises(BadRequest):
        written(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/guardrail/g/version/1/apply", "/guardrail/g/version/1/apply"),
        ("/team/async-invoke/x", "/async-invoke/x"),
        ("/other", "/other"),
    ],
)
def test_other_calls_lose_what_stands_before_them(path, expected):
    assert beside_models(path) == expected
