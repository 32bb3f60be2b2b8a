"""A copy of Eureka's registry: filled whole, kept up by deltas, compared by its hash code. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from llmproxy.plugin import BadRegistry, PoolMember

Instance = dict[str, Any]


class Registry:
    """What is known of all instances: the status of each, for the hash code; all of those of one application."""

    def __init__(self, application: str) -> None:
        self._application = application.upper()
        self._statuses: dict[tuple[str, str], str] = {}
        self._own: dict[str, Instance] = {}

    def fill(self, tree: Any) -> None:
        """Take a whole registry."""
        self._statuses, self._own = {}, {}
        for name, instance in _instances(tree):
            self._put(name, instance)

    def change(self, tree: Any) -> bool:
        """Take a delta; return whether the copy is now as the server's, by what the server says of its own."""
        for name, instance in _instances(tree):
            if instance.get("actionType") == "DELETED":
                self._statuses.pop((name, _id(instance)), None)
                if name == self._application:
                    self._own.pop(_id(instance), None)
            else:
                self._put(name, instance)
        return bool(tree["applications"].get("apps__hashcode") == self.hash_code)

    def _put(self, name: str, instance: Instance) -> None:
        self._statuses[name, _id(instance)] = str(instance.get("status"))
        if name == self._application:
            self._own[_id(instance)] = instance

    @property
    def hash_code(self) -> str:
        """How many instances have each status: `DOWN_1_UP_7_`, as Eureka writes it."""
        counts = Counter(self._statuses.values())
        return "".join(f"{status}_{counts[status]}_" for status in sorted(counts))

    def members(self, *, secure: bool, use_host_names: bool) -> list[PoolMember]:
        """Return the application's instances that are up and have the wanted port, in a stable order."""
        found = [
            PoolMember.read(
                instance.get("hostName" if use_host_names else "ipAddr"),
                _port(instance.get("securePort" if secure else "port")),
                labels=instance.get("metadata"),
            )
            for instance in self._own.values()
            if instance.get("status") == "UP"
        ]
        return sorted((member for member in found if member is not None), key=lambda member: member.address)


def _instances(tree: Any) -> Iterator[tuple[str, Instance]]:
    """Yield each instance with its application's name; where there is one only, Eureka may leave the list out."""
    applications = tree.get("applications") if isinstance(tree, dict) else None
    if not isinstance(applications, dict):
        raise BadRegistry("Eureka's answer holds no applications")
    for application in _listed(applications.get("application")):
        for instance in _listed(application.get("instance")):
            yield str(application.get("name")).upper(), instance


def _listed(value: Any) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, dict) for each in values):
        raise BadRegistry("Eureka's answer holds what is neither application nor instance")
    return values


def _id(instance: Instance) -> str:
    # Older clients register without an id; their host's name is one.
    return str(instance.get("instanceId") or instance.get("hostName"))


def _port(value: Any) -> Any:
    """Return the number of `{"$": 8080, "@enabled": "true"}`, if it is enabled."""
    if isinstance(value, dict):
        if str(value.get("@enabled", "true")).lower() != "true":
            return None
        value = value.get("$")
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
