"""Every test has a cache folder of its own, so that none depends on what another left behind."""

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("JAXMETA_HOME", str(folder))
    return folder
