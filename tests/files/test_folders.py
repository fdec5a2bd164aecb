"""Where the cache and shared recordings lie."""

import pytest

from jaxmeta.files.folders import cache_home, data_folders, has_data


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"JAXMETA_HOME": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/jaxmeta"),
        ({"HOME": "/c"}, "/c/.cache/jaxmeta"),
    ],
)
def test_the_cache_folder_follows_the_environment(monkeypatch, variables, expected):
    for name in ("JAXMETA_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_home()) == expected


def test_shared_recordings_that_are_missing_are_named(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    assert data_folders("here") == [tmp_path / "here"] and has_data("here") and not has_data("here", "there")
    with pytest.raises(ValueError, match="lacks there, elsewhere"):
        data_folders("here", "there", "elsewhere")
    monkeypatch.delenv("JAXMETA_DATA")
    assert not has_data("here")
