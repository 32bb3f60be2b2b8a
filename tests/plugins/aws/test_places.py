"""What hosts of AWS tell."""

import pytest

from llmproxy_aws.places import place_of


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "bedrock", "us-gov-west-1"),
        ("Bedrock-Agent-Runtime.eu-central-1.amazonaws.com", "bedrock", "eu-central-1"),
        ("vpce-0a1b-2c3d.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "bedrock", "ap-southeast-2"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "bedrock", "cn-north-1"),
        ("bedrock-mantle.us-west-2.api.aws", "bedrock-mantle", "us-west-2"),
        ("runtime.sagemaker.eu-west-1.amazonaws.com", "sagemaker", "eu-west-1"),
        ("abc123.execute-api.eu-west-1.amazonaws.com", "execute-api", "eu-west-1"),
        ("abc123.lambda-url.eu-west-1.on.aws", "lambda", "eu-west-1"),
        ("gateway.example.com", "", ""),
        ("us-east-1.example.com", "", ""),
        ("localhost", "", ""),
        ("", "", ""),
    ],
)
def test_a_host_tells_service_and_region(host, service, region):
    assert place_of(host) == (service, region)
