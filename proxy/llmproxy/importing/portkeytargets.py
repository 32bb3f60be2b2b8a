"""One target of a Portkey config that is a provider: the upstream that it needs, and the model there."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from llmproxy.importing.addresses import is_address
from llmproxy.importing.deployments import seconds
from llmproxy.importing.groups import number
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.walking import Note, Walk
from llmproxy.providers.table import Provider, find_provider

#: Portkey's names for providers that the table knows by another one.
_OTHERWISE: Final = {
    "azure-openai": "azure",
    "google": "gemini",
    "perplexity-ai": "perplexity",
    "mistral-ai": "mistral",
    "workers-ai": "cloudflare",
}

UNREACHED: Final = {
    "bedrock": "write an upstream with provider: bedrock (auth: aws signs)",
    "sagemaker": "write an upstream with dialect: http and auth: aws",
    "vertex-ai": "write an upstream with provider: vertex (auth: google)",
    "azure-ai": "write its address as an upstream of its own",
}

_WHOSE: Final = 'nothing says whose this is: write "provider": "openai", or whose it is, beside it'
_GUARDS: Final = "guardrails are not there yet"
_REQUEST: Final = "a request goes out as its caller wrote it, with nothing added to it"
_ACCOUNT: Final = "an account of another cloud is written under upstreams.NAME.auth"

_SUBJECTS: Final = {
    _GUARDS: """
        input_guardrails output_guardrails default_input_guardrails default_output_guardrails before_request_hooks
        after_request_hooks input_mutators output_mutators guardrails
        """,
    "callers' header fields go along as the provider's dialect allows; their keys never do": "forward_headers",
    "answers come as the provider's dialect says, in whichever one the caller speaks": "strict_open_ai_compliance",
    "Azure's v1 API is called, which has no dated versions": "api_version azure_api_version",
    "write auth: entra for tokens of Entra ID, or a key": """
        azure_auth_mode azure_ad_token ad_auth azure_managed_client_id azure_workload_client_id azure_entra_client_id
        azure_entra_client_secret azure_entra_tenant_id azure_entra_scope
        """,
    "who asks for what is said by keys and their tenants": "metadata id name",
    "metadata and traces: the access log has the W3C trace of each request": "trace_id span_id",
    "prices are in the table of models (llmproxy models)": "model_pricing_config",
}
_WHY: Final = {key: why for why, keys in _SUBJECTS.items() for key in keys.split()}

Target = dict[str, Any]


def why(key: str) -> str:
    """Say why a key of a Portkey config was not carried."""
    if key.startswith(("aws_", "vertex_", "amzn_", "oracle_")):
        return _ACCOUNT
    return _WHY.get(key, "this importer does not know it")


class Inherited(NamedTuple):
    """What a target has from those around it, unless it says otherwise."""

    model: str | None = None
    timeout: str | None = None
    host: str | None = None

    def over(self, walk: Walk) -> Inherited:
        """Take what a target says itself."""
        params = walk.section("override_params")
        model = params.take("model")
        params.tell_rest(lambda key: _REQUEST)
        given = walk.take("request_timeout")
        timeout = seconds(told / 1000) if isinstance(given, int | float) and (told := number(given)) else None
        if given is not None and timeout is None:
            walk.tell("request_timeout", "not a number of milliseconds")
        host = walk.take("custom_host")
        return Inherited(
            model if isinstance(model, str) and model else self.model,
            timeout or self.timeout,
            host if isinstance(host, str) and host else self.host,
        )


class Leaf(NamedTuple):
    """An upstream's section, a name for it, and the model that it is sent (None leaves the caller's)."""

    section: dict[str, Any]
    name: str
    model: str | None


def read_leaf(walk: Walk, refs: KeyRefs, inherited: Inherited) -> Leaf | None:
    """Read a target that names a provider; None, with a note, where nothing here can serve it."""
    name, behind, model = _named(walk, inherited.model)
    if name in UNREACHED:
        _left(walk, f"{name}: {UNREACHED[name]}, so the target was left out")
        return None
    row = find_provider(_OTHERWISE.get(name, name)) if name else None
    address = inherited.host
    if row is None and address is None:
        told = f"{name!r} is no provider of the table (llmproxy providers)" if name else _WHOSE
        _left(walk, f"{told}, so the target was left out")
        return None
    if address is not None and not is_address(address):
        _left(walk, "custom_host is no URL with a host, without a password and a query; left out")
        return None
    section, wish = _place(walk, row, address)
    key = _key(walk, refs, row, wish, behind)
    if key is not None:
        section["api_key"] = key
    headers = _headers(walk, refs)
    if headers:
        section["headers"] = headers
    if inherited.timeout is not None:
        section["timeouts"] = {"total": inherited.timeout}
    deployment = walk.take("deployment_id") or walk.take("azure_deployment_name")
    model = deployment if isinstance(deployment, str) else model
    if model is not None and "*" in model:
        walk.tell("override_params", "no model's name holds a *, so that of the request is sent")
        model = None
    walk.tell_rest(why)
    return Leaf(section, wish, None if model is None else model.replace("${", "$${"))


def _left(walk: Walk, text: str) -> None:
    walk.tell("", text)
    walk.drop()


class Behind(NamedTuple):
    """A name behind which Portkey keeps a key, and where it stands."""

    path: str
    slug: str


def _named(walk: Walk, model: str | None) -> tuple[str, Behind | None, str | None]:
    """Return the provider's name, what its key is kept behind, and the model's name without the latter."""
    provider, virtual = walk.take("provider"), walk.take("virtual_key")
    name = provider if isinstance(provider, str) else ""
    behind = Behind(walk.at("virtual_key"), virtual) if isinstance(virtual, str) and virtual else None
    if model is not None and model.startswith("@"):
        slug, _, model = model[1:].partition("/")
        behind = behind or Behind(walk.at("override_params"), slug)
    if name.startswith("@"):
        behind, name = Behind(walk.at("provider"), name[1:]), ""
    return name or _known_part(behind.slug if behind else ""), behind, model or None


def _known_part(slug: str) -> str:
    """Return the provider that a slug such as `openai-prod-2` seems to be of, or ""."""
    words = re.split(r"[-_.]", slug.lower())
    for end in range(min(len(words), 4), 0, -1):
        name = "-".join(words[:end])
        if name in UNREACHED or find_provider(_OTHERWISE.get(name, name)) is not None:
            return name
    return ""


def _place(walk: Walk, row: Provider | None, address: str | None) -> tuple[dict[str, Any], str]:
    """Return the section that says where it is, and a name for it."""
    resource = walk.take("resource_name")
    if row is not None and row.name == "azure" and isinstance(resource, str):
        if re.fullmatch(r"[A-Za-z0-9-]+", resource):
            base = f"https://{resource}.openai.azure.com/openai/v1"
            return {"provider": "azure", "base_url": base}, "azure"
        walk.tell("resource_name", "not a name of a resource; set AZURE_OPENAI_ENDPOINT to its address")
    if address is None:
        assert row is not None  # one of both is there
        return {"provider": row.name}, row.name
    host = (
        re.sub(r"[^a-z0-9]+", "-", address.partition("://")[2].partition("/")[0].lower()).strip("-")
        or "upstream"
    )
    address = address.rstrip("/").replace("${", "$${")
    if row is None or row.name == "openai":
        return {"base_url": address}, host
    return {"provider": row.name, "base_url": address}, row.name


def _key(walk: Walk, refs: KeyRefs, row: Provider | None, name: str, behind: Behind | None) -> str | None:
    variable = row.keys[0] if row is not None and row.keys else f"{name}_api_key"
    wish = variable.upper().replace("-", "_")
    path, given = walk.first("api_key")
    if given is not None:
        return refs.secret(given, wish, path)
    if behind is None:
        return None
    text = "Portkey keeps the key behind this name: set {name} to the provider's own"
    return refs.secret(f"portkey:{behind.slug}", wish, behind.path, text)


def _headers(walk: Walk, refs: KeyRefs) -> dict[str, str]:
    found = {}
    for key, name in (("openai_organization", "OpenAI-Organization"), ("openai_project", "OpenAI-Project")):
        value = walk.take(key)
        if isinstance(value, str) and value.isprintable() and value:
            found[name] = refs.text(value)
        elif value is not None:
            walk.notes.append(Note(walk.at(key), "not a text"))
    return found
