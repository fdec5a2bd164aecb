"""A demo with the small recogniser of the tests, which knows the letters a and b as tones."""

import pytest

from jaxmeta.recognition.recogniser import save_recogniser
from jaxmeta.verification.assistant import save_assistant
from tests.recognition.conftest import recogniser, voice_folder, write_voice  # noqa: F401
from tests.verification.conftest import assistant  # noqa: F401


@pytest.fixture(scope="session")
def recogniser_folder(recogniser, tmp_path_factory):  # noqa: F811
    return save_recogniser(tmp_path_factory.mktemp("demo") / "recogniser", recogniser)


@pytest.fixture(scope="session")
def assistant_folder(assistant, tmp_path_factory):  # noqa: F811
    return save_assistant(tmp_path_factory.mktemp("demo") / "assistant", assistant)


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Files in which tones say "ab", "ba ab", "b" and "a ba"."""
    return sorted((write_voice(tmp_path_factory.mktemp("tones") / "tones") / "audio").glob("*.wav"))
