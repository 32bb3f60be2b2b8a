"""JSON Schema of the configuration, for editors, from the structs that decode it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from llmproxy.providers.table import by_name
from llmproxy.references import Secret
from llmproxy.settings import Config

Schema = dict[str, Any]

_REF: Final = "#/$defs/{name}"
_REFERENCE: Final[Schema] = {
    "type": "string",
    "pattern": r"\$\{(env|file):[^}]+\}",
    "description": "A reference: ${env:NAME}, ${env:NAME:-default} or ${file:/path}.",
}
_INSTANCE_KEYS: Final = ("use", "on_error")


def json_schema(plugin_structs: Mapping[str, type[msgspec.Struct]]) -> Schema:
    """Return the schema of the whole file; `plugin_structs` maps a plugin's name (`use`) to its Config.

    A section inside of one may say what else its `from_shorthand` takes, as a schema: `shorthand`.
    """
    types = [Config, *plugin_structs.values()]
    outs, components = msgspec.json.schema_components(types, schema_hook=_schema_hook, ref_template=_REF)
    definitions = {name: _with_references(schema) for name, schema in components.items()}
    definitions["Reference"] = _REFERENCE
    top = definitions.pop(outs[0]["$ref"].rpartition("/")[2])
    instance = definitions.pop("PluginConfig")
    plugins = {
        name: _instance_schema(instance, definitions[out["$ref"].rpartition("/")[2]])
        for name, out in zip(plugin_structs, outs[1:], strict=True)
    }
    definitions |= {f"plugins/{name}": schema for name, schema in plugins.items()}
    _add_shorthands(top, definitions)
    for struct in _within(tuple(plugin_structs.values())):
        short, name = getattr(struct, "shorthand", None), struct.__name__
        if short is not None and name in definitions:
            definitions[name] = {"anyOf": [dict(short), definitions[name]]}
    top["properties"]["plugins"] = _plugins_schema(instance, plugins)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": definitions}


def _within(types: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Return the sections that stand in others' fields."""
    found: set[type[msgspec.Struct]] = set()
    waiting = [*types]
    while waiting:
        type_ = waiting.pop()
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            if type_ not in found:
                found.add(type_)
                waiting += [field.type for field in msgspec.structs.fields(type_)]
        else:
            waiting += get_args(type_)
    return found


def _schema_hook(type_: type) -> Schema:
    if issubclass(type_, Secret):
        schema: Schema = {
            "type": "string",
            "description": "A secret, by reference: ${env:NAME} or ${file:/path}.",
        }
        return schema if type_.accepts_literal else schema | {"pattern": _REFERENCE["pattern"]}
    raise NotImplementedError  # msgspec says which type it is


def _with_references(schema: Any) -> Any:
    """Let a reference stand wherever a number, a boolean or a fixed word is expected."""
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in {"integer", "number", "boolean"} or "enum" in schema:
        outside = {key: schema[key] for key in ("default", "description") if key in schema}
        inside = {key: value for key, value in schema.items() if key not in outside}
        text = inside.pop("x-text", None)  # what a Duration or a Size may look like, besides a number
        texts = [{"type": "string", "pattern": text}] if text else []
        return outside | {"anyOf": [inside, *texts, {"$ref": "#/$defs/Reference"}]}
    return {key: value if key == "default" else _with_references(value) for key, value in schema.items()}


def _add_shorthands(top: Schema, definitions: dict[str, Schema]) -> None:
    """Describe what `from_shorthand` of the sections accepts."""
    text: Schema = {"type": "string"}
    definitions["Listener"] = {"anyOf": [text, definitions["Listener"]]}
    for section, name in (("StoreConfig", "encryption_key"), ("UpstreamConfig", "api_key")):
        keys = definitions[section]["properties"][name]
        none: list[Schema] = [{"type": "null"}] if name == "api_key" else []
        definitions[section]["properties"][name] = {"anyOf": [keys["items"], keys, *none]}
    definitions["StoreConfig"] = {"anyOf": [text, definitions["StoreConfig"]]}
    definitions["UpstreamConfig"] = _upstream_schema(definitions["UpstreamConfig"])
    _add_pools(definitions)
    options = {"type": ["object", "string", "null"]}
    with_options = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": options}
    definitions["PluginRef"] = {"anyOf": [text, with_options]}
    listener = {"$ref": "#/$defs/Listener"}
    top["properties"]["listen"] = {"anyOf": [listener, {"type": "array", "items": listener, "minItems": 1}]}


def _add_pools(definitions: dict[str, Schema]) -> None:
    """Describe the short forms of pools: lists of targets, upstreams with a model, strategies by name."""
    text: Schema = {"type": "string"}
    able = definitions["Capabilities"]
    names = {"type": "array", "items": {"enum": sorted(able["properties"].keys() - {"window", "output"})}}
    definitions["Capabilities"] = {"anyOf": [names, able]}
    target = definitions["TargetConfig"]
    target["properties"]["after"] = {"anyOf": [text, target["properties"]["after"]]}
    definitions["TargetConfig"] = {"anyOf": [text, target]}
    pool = definitions["PoolConfig"]
    definitions["PoolConfig"] = {"anyOf": [pool["properties"]["targets"], pool]}
    model = definitions["ModelConfig"]
    definitions["ModelConfig"] = {"anyOf": [text, pool["properties"]["targets"], model]}
    options = {"type": ["object", "null"]}
    with_options = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": options}
    definitions["StrategyRef"] = definitions["AuthorizerRef"] = {"anyOf": [text, with_options]}


def _upstream_schema(section: Schema) -> Schema:
    """Describe an upstream: a provider's name, or a section that may name one and then needs nothing more."""
    provider: Schema = {
        "description": "A provider, whose address, dialect, quirks and key variable count where nothing is written.",
        "anyOf": [{"enum": sorted(by_name())}, {"$ref": "#/$defs/Reference"}],
    }
    own = {
        **section,
        "properties": {**section["properties"], "provider": {"anyOf": [provider, {"type": "null"}]}},
    }
    del own["required"]  # a section without a base URL is of the provider that it is named after
    return {"anyOf": [provider, {"type": "null"}, own]}


def _instance_schema(instance: Schema, own: Schema) -> Schema:
    shared = {key: instance["properties"][key] for key in _INSTANCE_KEYS}
    return own | {
        "type": ["object", "null"],
        "properties": own.get("properties", {}) | shared,
        "additionalProperties": False,
    }


def _plugins_schema(instance: Schema, plugins: Collection[str]) -> Schema:
    """Describe instances: by name for `cache: {...}`, by `use` for those that are named otherwise."""
    other: Schema = {
        "type": ["object", "null"],
        "properties": {key: instance["properties"][key] for key in _INSTANCE_KEYS},
    }
    if plugins:
        other["allOf"] = [
            {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": _instance_ref(name)}
            for name in plugins
        ]
    named = {
        name: {"if": {"required": ["use"]}, "then": other, "else": _instance_ref(name)} for name in plugins
    }
    return {"type": "object", "properties": named, "additionalProperties": other}


def _instance_ref(name: str) -> Schema:
    return {"$ref": "#/$defs/plugins~1" + name.replace("~", "~0").replace("/", "~1")}
