import pytest

from llmproxy.plugin import ConfigError
from llmproxy_discovery_kubernetes.config import KubernetesConfig


def test_a_service_is_enough() -> None:
    config = KubernetesConfig(service="backend")

    assert (config.include, config.own_namespace()) == ("ready", "default")


def test_the_api_server_is_where_a_pod_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT_HTTPS", "6443")

    assert KubernetesConfig(service="backend").api_url() == "https://[fd00::1]:6443"
    assert (
        KubernetesConfig(service="backend", api="http://127.0.0.1:8001").api_url() == "http://127.0.0.1:8001"
    )


@pytest.mark.parametrize("fields", [{"service": "A_b"}, {"service": "a", "namespace": "x/y"}])
def test_what_is_no_name_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        KubernetesConfig(**fields)  # type: ignore[arg-type]
