"""`jaxmeta train wakeword`, `export` and `listen`: five recordings to detections, files, and Home Assistant."""

import asyncio
import json
import shutil

import jax
import numpy as np
import pytest

from jaxmeta.cli.listen import _address
from jaxmeta.cli.main import main
from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.features import extract
from jaxmeta.models.pretrained.word_embedding import embedding_shapes
from jaxmeta.verification.assistant import embed_recordings
from jaxmeta.verification.user import enroll, save_user
from jaxmeta.words.wake.wakeword import Detector, load_wakeword
from tests.verification.conftest import assistant  # noqa: F401
from tests.words.wake.sounds import RATE, embedding, other, word


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(each) for each in arguments])
    return stop.value.code


def write_params(path, params):
    safetensors = pytest.importorskip("safetensors.numpy", reason='needs the extra "pretrained"')
    safetensors.save_file(
        {f"{name}.{part}": np.asarray(array) for name, layer in params.items() for part, array in layer.items()}, path
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folders of five recordings of a word and of other speech, and a recording to search."""
    home = tmp_path_factory.mktemp("home")
    for seed in range(5):
        write_audio(home / "tone" / f"{seed}.wav", np.pad(word(seed), 4_000), RATE)
    for seed in range(4):
        write_audio(home / "speech" / f"{seed}.wav", other(seed, 30), RATE)
    sound = other(200, 8)
    sound[5 * RATE - len(word(50)) : 5 * RATE] = word(50)
    write_audio(home / "long.wav", sound, RATE)
    write_params(home / "embedding.safetensors", embedding())
    return home


@pytest.fixture(scope="module")
def trained(home):
    """What the command wrote."""
    main(["train", "wakeword", "--positive", str(home / "tone"), "--embedding", str(home / "embedding.safetensors"),
          "--negative", str(home / "speech"), "--takes", "40", "--out", str(home / "wake")])  # fmt: skip
    return home / "wake"


@pytest.mark.slow
def test_five_recordings_make_a_detector_and_a_file_for_openwakeword(trained, home, tmp_path, capsys):
    main(["listen", str(trained), "--wav", str(home / "long.wav"), "--json"])
    detections = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["file"] for each in detections] == [str(home / "long.wav")]
    assert 4.7 < detections[0]["seconds"] < 5.6 and 0.5 <= detections[0]["score"] <= 1
    pytest.importorskip("onnxruntime", reason='needs the extra "onnx"')
    pytest.importorskip("onnx")
    main(["export", str(trained), "--to", "openwakeword", "--out", str(tmp_path / "tone.onnx")])
    assert (
        tmp_path / "tone.onnx"
    ).stat().st_size > 10_000 and "a score of 0.5 is the threshold" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'audioop':DeprecationWarning")  # which wyoming imports where there still is one
def test_a_client_of_home_assistant_hears_of_the_word(trained, home):
    pytest.importorskip("wyoming", reason='needs the extra "wyoming"')
    from jaxmeta.words.wake.wyoming_server import make_server

    events, expected = asyncio.run(_conversation(trained, home, make_server))
    assert [each.type for each in events] == ["info", *["detection"] * len(expected), "not-detected"]
    assert events[0].data["wake"][0]["models"][0]["name"] == "tone"
    assert [each.data["timestamp"] for each in events[1:-1]] == [round(1000 * each.seconds) for each in expected]


async def _conversation(trained, home, make_server):
    """What a client is sent for a description, a recording with the word, and one without."""
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.client import AsyncTcpClient
    from wyoming.info import Describe

    loaded = load_wakeword(trained)
    server, handler = make_server("tone", lambda: Detector(loaded), "127.0.0.1", 0)
    await server.start(handler)
    port = server._server.sockets[0].getsockname()[1]
    with_word = read_audio(home / "long.wav", RATE)
    events = []
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        events.append(await client.read_event())
        expected = Detector(loaded).push(with_word)
        for sound in (with_word, np.zeros(RATE, np.float32)):
            await client.write_event(AudioStart(RATE, 2, 1).event())
            for start in range(0, len(sound), 1_024):
                samples = np.round(32_768 * sound[start : start + 1_024]).astype(np.int16)
                await client.write_event(AudioChunk(RATE, 2, 1, samples.tobytes()).event())
            await client.write_event(AudioStop().event())
            for _ in range(len(expected) if sound is with_word else 1):
                events.append(await client.read_event())
    await server.stop()
    return events, expected


@pytest.mark.slow
def test_a_word_counts_where_the_voice_of_the_last_two_seconds_is_accepted(trained, home):
    from jaxmeta.cli.listen import _GatedDetector

    loaded, sound = load_wakeword(trained), read_audio(home / "long.wav", RATE)
    lengths = []
    gated = _GatedDetector(Detector(loaded), lambda recent: bool(lengths.append(len(recent))))
    assert gated.push(sound) == [] and lengths and set(lengths) == {2 * RATE}
    assert len(_GatedDetector(Detector(loaded), lambda recent: True).push(sound)) == 1


@pytest.mark.slow
def test_a_folder_with_a_voice_listens_to_that_voice_alone(trained, home, assistant, tmp_path, capsys):  # noqa: F811
    (end,) = [each.seconds for each in Detector(load_wakeword(trained)).push(read_audio(home / "long.wav", RATE))]
    recent = read_audio(home / "long.wav", RATE)[: round(4 * end + 0.5) * RATE // 4][-2 * RATE :]
    own = embed_recordings(assistant, [extract(recent, assistant.card.features)])
    for sign, lines in ((1, 1), (-1, 0)):
        folder = shutil.copytree(trained, tmp_path / f"wake{sign}")
        save_user(folder / "voice", assistant, enroll(own, None)._replace(voice=sign * own.voices[0]))
        main(["listen", str(folder), "--wav", str(home / "long.wav"), "--json"])
        seconds = [json.loads(line)["seconds"] for line in capsys.readouterr().out.splitlines()]
        assert len([each for each in seconds if each is not None]) == lines


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Folders of which something is wrong, and an embedding of zeros: nothing is computed with it."""
    folder = tmp_path_factory.mktemp("refused")
    write_audio(folder / "tone" / "0.wav", np.pad(word(0), 4_000), RATE)
    write_audio(folder / "silent" / "0.wav", np.zeros(RATE, np.float32), RATE)
    (folder / "empty").mkdir()
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), embedding_shapes())
    write_params(folder / "embedding.safetensors", zeros)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--positive", "none"], "none: no such folder"),
        (["--positive", "empty"], "no recordings; put audio files there"),
        (["--positive", "silent"], "0.wav: is silent"),
        (["--embedding", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_input_leaves_nothing(refused, monkeypatch, capsys, change, said):
    monkeypatch.chdir(refused)
    given = {"--positive": "tone", "--embedding": "embedding.safetensors", "--negative": "speech", "--out": "made"}
    given[change[0]] = change[1]
    assert run("train", "wakeword", *sum(given.items(), ())) == 2
    assert said in capsys.readouterr().err and not (refused / "made").exists()


def test_listening_needs_one_source(tmp_path, capsys):
    assert run("listen", tmp_path) == 2
    assert "give one of --wav FILE..., --microphone, --wyoming" in capsys.readouterr().err
    assert run("listen", tmp_path, "--wav", "a.wav", "--microphone") == 2


def test_a_server_is_for_this_machine_alone_unless_told_otherwise():
    assert _address("10400") == _address(":10400") == ("127.0.0.1", 10400)
    assert _address("0.0.0.0:1") == ("0.0.0.0", 1) and _address("[::1]:80") == ("::1", 80)
    for wrong in ("localhost", "localhost:", "a:70000", ""):
        with pytest.raises(ValueError, match="give HOST:PORT, or PORT"):
            _address(wrong)


def test_formats_are_for_what_a_folder_holds(tmp_path, capsys):
    (tmp_path / "wakeword.json").write_text("{}")
    assert run("export", tmp_path, "--to", "onnx", "--out", tmp_path / "x.onnx") == 2
    assert 'holds a wake word; give "openwakeword" or "tflite"' in capsys.readouterr().err
    assert run("export", tmp_path / "none", "--to", "tflite", "--out", tmp_path / "x.tflite") == 2
    assert "holds no wake word" in capsys.readouterr().err
