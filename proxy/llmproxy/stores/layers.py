"""The store that a section of the configuration describes: an engine, a seal before it, a store at hand before both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from llmproxy.errors import ConfigError
from llmproxy.stores.interface import LocalStore
from llmproxy.stores.opening import StoreScheme, UnopenedStore, make_store
from llmproxy.stores.urls import StoreUrl

if TYPE_CHECKING:
    from llmproxy.references import Secret
    from llmproxy.settings import StoreConfig
    from llmproxy.stores.sealing import Seal

T = TypeVar("T")


def make_layers(settings: StoreConfig, schemes: Mapping[str, StoreScheme]) -> UnopenedStore:
    """Make the store, unopened: its options are checked, nothing outside is touched.

    Raises:
        ConfigError: an option is wrong or an engine is not installed; its path begins at the section.
    """
    store: Any = _made("url", lambda: make_store(settings.url, schemes))
    name = str(StoreUrl.parse(settings.url))
    seal = _seal(settings)
    if seal is not None:
        from llmproxy.stores.sealed import sealed  # noqa: PLC0415  # what is not configured is not imported

        store = sealed(store, name, seal)
    if settings.near is None:
        return store  # type: ignore[no-any-return]
    return _tiered(name, settings.near, store, settings.near_ttl, schemes)


def open_layers(settings: StoreConfig, schemes: Mapping[str, StoreScheme]) -> UnopenedStore:
    """Make and open the store; never before the fork.

    Raises:
        ConfigError: as `make_layers`.
        StartError: the store's files cannot be opened.
    """
    store = make_layers(settings, schemes)
    store.open()
    return store


def _tiered(
    name: str, near_url: str, far: Any, near_ttl: float, schemes: Mapping[str, StoreScheme]
) -> UnopenedStore:
    from llmproxy.stores.tiered import TieredStore  # noqa: PLC0415  # what is not configured is not imported

    near = _made("near", lambda: make_store(near_url, schemes))
    if not isinstance(near, LocalStore):
        raise ConfigError("near", "not a store in this process, as in 'memory://?max_bytes=64MiB'")
    return TieredStore(name, near, far, near_ttl=near_ttl)


def _seal(settings: StoreConfig) -> Seal | None:
    if settings.compress is None and not settings.encryption_key:
        return None
    from llmproxy.stores import sealing  # noqa: PLC0415  # what is not configured is not imported

    above = settings.compress_above
    compression = encryption = None
    if settings.compress is not None:
        compression = _made("compress", lambda: sealing.Compression(above), extra="zstd")
    if settings.encryption_key:
        keys = [_key(f"encryption_key[{index}]", each) for index, each in enumerate(settings.encryption_key)]
        encryption = _made("encryption_key", lambda: sealing.Encryption(keys), extra="encryption")
    if compression is not None and encryption is not None:
        return sealing.Both(compression, encryption)
    return compression or encryption


def _key(path: str, secret: Secret) -> bytes:
    from llmproxy.stores.sealing import read_key  # noqa: PLC0415  # what is not configured is not imported

    return _made(path, lambda: read_key(secret.reveal()))


def _made(path: str, make: Callable[[], T], *, extra: str = "") -> T:
    try:
        return make()
    except ValueError as fault:
        raise ConfigError(path, str(fault)) from fault
    except ImportError as fault:
        how = f"pip install 'llmproxy-gateway[{extra}]'" if extra else str(fault)
        raise ConfigError(path, f"what it needs is not installed: {how}") from fault
