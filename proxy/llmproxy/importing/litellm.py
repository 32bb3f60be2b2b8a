"""A LiteLLM proxy's configuration in this gateway's words: models and keys first.

Carried are `model_list` (with `credential_list`), aliases of model groups, the master key by reference, timeouts,
what happens to parameters that a provider lacks, and the log's manner. Everything else is told, by its path and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmproxy.importing.deployments import read_deployment
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.manner import Manner, is_true, read_manner
from llmproxy.importing.reasons import why, why_of_a_model
from llmproxy.importing.walking import Note, Walk

#: Where LiteLLM listens unless its command line says otherwise; here on loopback, until somebody decides.
_LISTEN: Final = "127.0.0.1:4000"
_MASTER: Final = "LITELLM_MASTER_KEY"
_SHORTEST_KEY: Final = 12


class Imported(NamedTuple):
    """The configuration's tree, and what became of everything that is not in it."""

    tree: dict[str, Any]
    notes: list[Note]


def import_litellm(tree: Mapping[str, Any]) -> Imported:
    """Read a LiteLLM file's tree.

    Raises:
        ValueError: no model of it can be served here.
    """
    notes: list[Note] = []
    return _Import(Walk(tree, "", notes), KeyRefs(tree, notes)).run()


class _Import:
    """One reading of one file."""

    def __init__(self, file: Walk, refs: KeyRefs) -> None:
        self._file = file
        self._refs = refs
        self._upstreams: dict[str, dict[str, Any]] = {}
        self._models: dict[str, Any] = {}
        self._manner = Manner()

    def run(self) -> Imported:
        """Read everything, in the order in which one thing needs another."""
        library, router = self._file.section("litellm_settings"), self._file.section("router_settings")
        self._manner = read_manner(library, router)
        credentials = self._credentials()
        for entry in self._file.sections("model_list"):
            self._entry(entry, credentials)
        self._aliases(router)
        access = self._access(self._file.section("general_settings"))
        self._environment()
        for section in (library, router, self._file):
            section.tell_rest(why)
        if not self._models:
            raise NothingCarried(self._file.notes)
        return Imported(self._written(access), self._file.notes)

    def _credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in self._file.sections("credential_list"):
            name, values = entry.take("credential_name"), entry.take("credential_values")
            entry.take("credential_info")
            if isinstance(name, str) and isinstance(values, Mapping):
                found[name] = values
            entry.tell_rest(why)
        return found

    def _entry(self, entry: Walk, credentials: Mapping[str, Any]) -> None:
        name, params = entry.take("model_name"), entry.section("litellm_params")
        info = entry.section("model_info")
        if not isinstance(name, str) or not name or name.count("*") > 1:
            entry.tell("model_name", "no name that a model can have here, so the deployment was left out")
            return
        if name in self._models:
            entry.tell("", f"another deployment of {name!r}; several for one name come with routing")
            return
        credential = params.take("litellm_credential_name")
        if credential is not None and str(credential) not in credentials:
            params.tell("litellm_credential_name", "no credential of this name is in credential_list")
        params.under(credentials.get(str(credential), {}))
        deployment = read_deployment(params, self._refs, self._manner.total)
        if deployment is None:
            return
        if "*" in deployment.model and "*" not in name:
            params.tell(
                "model", f"a wildcard cannot stand for {name!r} alone, so the deployment was left out"
            )
            return
        upstream = self._upstream(deployment.name, deployment.section)
        self._models[name] = {"upstream": upstream, "model": deployment.model}
        if deployment.model == name:
            del self._models[name]["model"]
        info.tell_rest(why_of_a_model)
        entry.tell_rest(why)

    def _upstream(self, wish: str, section: dict[str, Any]) -> str:
        """Return the name of the upstream of this section, adding it if there is none yet."""
        name, number = wish, 1
        while self._upstreams.setdefault(name, section) != section:
            number += 1
            name = f"{wish}-{number}"
        return name

    def _aliases(self, router: Walk) -> None:
        aliases = router.section("model_group_alias")
        for alias in aliases:
            leads = aliases.take(alias)
            if isinstance(leads, Mapping):
                if is_true(leads.get("hidden")):
                    aliases.tell(alias, "carried, and listed with the other models")
                leads = leads.get("model")
            if alias in self._models:
                aliases.tell(alias, "a model of model_list has this name already")
            elif isinstance(leads, str) and self._is_served(leads):
                self._models[alias] = leads
            else:
                aliases.tell(alias, "leads to no model that was carried")

    def _is_served(self, name: str) -> bool:
        ends = [known.partition("*") for known in self._models if "*" in known]
        fits = any(name.startswith(before) and name.endswith(after) for before, _, after in ends)
        return fits or name in self._models

    def _access(self, settings: Walk) -> dict[str, Any]:
        path, master = settings.first("master_key")
        settings.tell_rest(why)
        if master is None:
            text = "not set, so everybody may use the gateway, which stays on this machine: write a key for others"
            settings.tell("master_key", text)
            return {"mode": "open"}
        if not str(master).startswith("os.environ/") and len(str(master)) < _SHORTEST_KEY:
            text = (
                f"too short, it could be guessed: set {_MASTER} to another of {_SHORTEST_KEY} or more letters"
            )
            settings.tell("master_key", text)
            key = None
        else:
            key = self._refs.secret(master, _MASTER, path)
        settings.tell("master_key", "carried as a key for callers; the admin listener has a token of its own")
        return {"keys": [{"name": "master", "tenant": "default", "key": key or f"${{env:{_MASTER}}}"}]}

    def _environment(self) -> None:
        variables = self._file.section("environment_variables")
        variables.tell_rest(
            lambda key: f"a configuration sets no variables: set {key} where the gateway is started"
        )

    def _written(self, access: dict[str, Any]) -> dict[str, Any]:
        self._file.notes.append(
            Note(
                "listen", f"{_LISTEN}; LiteLLM's own address is on its command line, 0.0.0.0:4000 unless said"
            )
        )
        plugins: dict[str, Any] = (
            {"metrics": {}, "access": access} if self._manner.metrics else {"access": access}
        )
        route: dict[str, Any] = {"name": "models", "match": {"path": "/*"}}
        if self._manner.lossy is not None:
            route["lossy"] = self._manner.lossy
        tree = {
            "listen": _LISTEN,
            "log": self._manner.log,
            "upstreams": self._upstreams,
            "plugins": plugins,
            "pipeline": list(plugins),
            "routes": [{**route, "models": self._models}],
        }
        return {key: value for key, value in tree.items() if value}


class NothingCarried(ValueError):
    """No model of the file can be served here; `notes` say why not."""

    def __init__(self, notes: list[Note]) -> None:
        super().__init__("no model of it can be served here")
        self.notes = notes
