import pytest

from llmproxy.plugin import Endpoint
from llmproxy_bedrock.passing import passed

from .conftest import made_exchange


@pytest.mark.parametrize(
    ("path", "model", "target"),
    [
        ("/model/m%3A0/converse", None, "/model/m%3A0/converse"),
        ("/model/m/converse", "m", "/model/m/converse"),
        ("/team/model/m/converse-stream", "a.b:0", "/model/a.b%3A0/converse-stream"),
        ("/model/m/invoke?x=1", "arn:a/b", "/model/arn%3Aa%2Fb/invoke?x=1"),
    ],
)
def test_the_models_name_is_put_into_the_path(path, model, target):
    exchange = made_exchange(path, b"{ }")
    wire = passed(exchange, Endpoint("u", model), b"{ }")

    assert wire.target == target
    assert wire.body == b"{ }"


def test_other_calls_of_the_api_pass_too():
    exchange = made_exchange("/guardrail/g/version/1/apply", b"{}")

    assert passed(exchange, Endpoint("u"), b"{}").target == "/guardrail/g/version/1/apply"


def test_nothing_of_a_callers_signature_goes_on():
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=x",
        "X-Amz-Date": "1",
        "X-Amz-Security-Token": "t",
        "x-amz-content-sha256": "h",
        "amz-sdk-invocation-id": "i",
        "amz-sdk-request": "attempt=1",
        "X-Amzn-Bedrock-Trace": "ENABLED",
        "Content-Type": "application/json",
    }
    wire = passed(made_exchange(headers=headers), Endpoint("u"), b"")

    assert {name for name, _ in wire.headers} == {"X-Amzn-Bedrock-Trace", "Content-Type"}
