"""A LiteLLM proxy's configuration in this gateway's words.

Carried are `model_list` (with `credential_list`; several deployments of a name are a pool), aliases of model groups,
fallbacks, retries and cooldowns, the master key by reference, budgets, rates and prices, timeouts, what happens to
parameters that a provider lacks, and the log's manner. Everything else is told, by its path and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmproxy.importing.budgets import STORE, Budgets
from llmproxy.importing.callers import read_access
from llmproxy.importing.deployments import Deployment, read_deployment
from llmproxy.importing.fallbacks import Fallbacks
from llmproxy.importing.groups import Member, read_share
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.lines import Lines
from llmproxy.importing.manner import Manner, is_true, read_manner
from llmproxy.importing.reasons import why, why_of_a_model
from llmproxy.importing.reliability import Reliability, read_reliability
from llmproxy.importing.walking import Note, Walk

#: Where LiteLLM listens unless its command line says otherwise; here on loopback, until somebody decides.
_LISTEN: Final = "127.0.0.1:4000"


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
    return _Import(Walk(tree, "", notes), KeyRefs(tree, notes), Budgets(tree)).run()


class _Import:
    """One reading of one file."""

    def __init__(self, file: Walk, refs: KeyRefs, budgets: Budgets) -> None:
        self._file = file
        self._refs = refs
        self._upstreams: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, list[Member]] = {}
        self._manner = Manner()
        self._budgets = budgets

    def run(self) -> Imported:
        """Read everything, in the order in which one thing needs another."""
        library, router = self._file.section("litellm_settings"), self._file.section("router_settings")
        self._manner = read_manner(library, router)
        reliability, fallbacks = read_reliability(library, router), Fallbacks(router, library)
        credentials, general = _credentials(self._file), self._file.section("general_settings")
        self._budgets.read(library, general)
        for entry in self._file.sections("model_list"):
            self._entry(entry, credentials)
        aliases = self._aliases(router)
        access = read_access(general, self._refs)
        for name, members in self._groups.items():
            self._budgets.rates(name, [member.weights for member in members])
        self._budgets.tell(self._file)
        self._environment()
        for section in (library, router, self._file):
            section.tell_rest(why)
        if not self._groups:
            raise NothingCarried(self._file.notes)
        lines = Lines(
            self._groups, aliases, reliability.strategy, pooled=bool(reliability.settings.get("retries"))
        )
        models = self._models(lines, fallbacks)
        return Imported(
            self._written(access, {**models, **_plain(aliases)}, lines, reliability), self._file.notes
        )

    def _models(self, lines: Lines, fallbacks: Fallbacks) -> dict[str, Any]:
        """Return where each name leads, those included that only a wildcard serves and that fall back to others."""
        models: dict[str, Any] = {}
        for name in [*self._groups, *(name for name in fallbacks.lists if name not in self._groups)]:
            known = fallbacks.lists.get(name, [])
            line = fallbacks.of(name) if "*" not in name else []
            if "*" in name and known:
                self._tell(known[0].path, "what stands for many names falls back to nothing here")
            model = lines.model(name, line, self._tell)
            if model is None:
                self._tell(known[0].path if known else name, f"{name!r} is no model that was carried")
            elif name in self._groups or "pool" in model:
                models[name] = model
        return models

    def _tell(self, path: str, text: str) -> None:
        self._file.notes.append(Note(path, text))

    def _entry(self, entry: Walk, credentials: Mapping[str, Any]) -> None:
        name, params = entry.take("model_name"), entry.section("litellm_params")
        info = entry.section("model_info")
        if not isinstance(name, str) or not name or name.count("*") > 1:
            entry.tell("model_name", "no name that a model can have here, so the deployment was left out")
            return
        credential = params.take("litellm_credential_name")
        if credential is not None and str(credential) not in credentials:
            params.tell("litellm_credential_name", "no credential of this name is in credential_list")
        params.under(credentials.get(str(credential), {}))
        share = read_share(params)
        self._budgets.deployment(params, name)
        costs = self._budgets.costs(params, info)
        deployment = read_deployment(params, self._refs, self._manner.total, self._manner.first_token)
        if deployment is None:
            return
        if "*" in deployment.model and "*" not in name:
            params.tell(
                "model", f"a wildcard cannot stand for {name!r} alone, so the deployment was left out"
            )
            return
        if not self._joins(name, deployment):
            entry.tell("", f"another deployment of {name!r}, and a wildcard leads to one place")
            return
        model = None if "*" in name and deployment.model == name else deployment.model
        member = Member(self._upstream(deployment.name, deployment.section), model, *share)
        self._budgets.price(params, member.upstream, model, costs)
        self._groups.setdefault(name, []).append(member)
        info.tell_rest(why_of_a_model)
        entry.tell_rest(why)

    def _joins(self, name: str, deployment: Deployment) -> bool:
        """Whether a deployment can stand beside others: in a pool nothing stands for a wildcard's text but the name."""
        group = self._groups.get(name, [])
        return "*" not in name or not group or (deployment.model == name and group[0].model is None)

    def _upstream(self, wish: str, section: dict[str, Any]) -> str:
        """Return the name of the upstream of this section, adding it if there is none yet."""
        name, number = wish, 1
        while self._upstreams.setdefault(name, section) != section:
            number += 1
            name = f"{wish}-{number}"
        return name

    def _aliases(self, router: Walk) -> dict[str, str]:
        found: dict[str, str] = {}
        aliases = router.section("model_group_alias")
        for alias in aliases:
            leads = aliases.take(alias)
            if isinstance(leads, Mapping):
                if is_true(leads.get("hidden")):
                    aliases.tell(alias, "carried, and listed with the other models")
                leads = leads.get("model")
            if alias in self._groups:
                aliases.tell(alias, "a model of model_list has this name already")
            elif isinstance(leads, str) and (self._is_served(leads) or leads in found):
                found[alias] = leads
            else:
                aliases.tell(alias, "leads to no model that was carried")
        return found

    def _is_served(self, name: str) -> bool:
        ends = [known.partition("*") for known in self._groups if "*" in known]
        fits = any(name.startswith(before) and name.endswith(after) for before, _, after in ends)
        return fits or name in self._groups

    def _environment(self) -> None:
        variables = self._file.section("environment_variables")
        variables.tell_rest(
            lambda key: f"a configuration sets no variables: set {key} where the gateway is started"
        )

    def _written(
        self, access: dict[str, Any], models: dict[str, Any], lines: Lines, reliability: Reliability
    ) -> dict[str, Any]:
        self._file.notes.append(
            Note(
                "listen", f"{_LISTEN}; LiteLLM's own address is on its command line, 0.0.0.0:4000 unless said"
            )
        )
        plugins: dict[str, Any] = (
            {"metrics": {}, "access": access} if self._manner.metrics else {"access": access}
        )
        limits = self._budgets.limits
        if limits:
            plugins["quota"] = {"store": "limits", "limits": limits}
        common = list(plugins)
        pools = lines.pools.tree
        if pools and reliability.settings:
            plugins["balance"] = reliability.settings
        route: dict[str, Any] = {"name": "models", "match": {"path": "/*"}}
        attempts = reliability.attempts(lines.longest())
        if pools and attempts is not None:
            route["attempts"] = attempts
        if self._manner.lossy is not None:
            route["lossy"] = self._manner.lossy
        tree = {
            "listen": _LISTEN,
            "log": self._manner.log,
            "stores": STORE if limits else {},
            "upstreams": self._upstreams,
            "prices": self._budgets.prices,
            "pools": pools,
            "plugins": plugins,
            "pipeline": common,
            "routes": [{**route, "models": models}],
        }
        return {key: value for key, value in tree.items() if value}


def _credentials(file: Walk) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in file.sections("credential_list"):
        name, values = entry.take("credential_name"), entry.take("credential_values")
        entry.take("credential_info")
        if isinstance(name, str) and isinstance(values, Mapping):
            found[name] = values
        entry.tell_rest(why)
    return found


def _plain(aliases: Mapping[str, str]) -> dict[str, str]:
    """Return aliases as they are written, so that no name refers to anything."""
    return {name: leads.replace("${", "$${") for name, leads in aliases.items()}


class NothingCarried(ValueError):
    """No model of the file can be served here; `notes` say why not."""

    def __init__(self, notes: list[Note]) -> None:
        super().__init__("no model of it can be served here")
        self.notes = notes
