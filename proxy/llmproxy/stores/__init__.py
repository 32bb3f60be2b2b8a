"""Stores behind one interface, named by URL."""

from llmproxy.stores.interface import Counters, CountsEvictions, HoldsReaders, LocalStore, Store, StoreAway
from llmproxy.stores.keys import key
from llmproxy.stores.opening import SCHEMES, StoreScheme, UnopenedStore, make_store, open_store
from llmproxy.stores.urls import StoreUrl

__all__ = [
    "SCHEMES",
    "Counters",
    "CountsEvictions",
    "HoldsReaders",
    "LocalStore",
    "Store",
    "StoreAway",
    "StoreScheme",
    "StoreUrl",
    "UnopenedStore",
    "key",
    "make_store",
    "open_store",
]
