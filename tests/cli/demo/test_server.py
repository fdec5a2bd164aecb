"""The demo over HTTP, from a recording to what is adapted."""

import contextlib
import io
import json
import shutil
import zipfile

import jax
import numpy as np
import pytest

pytest.importorskip("starlette", reason='needs the extra "demo"')
pytest.importorskip("uvicorn", reason='needs the extra "demo"')
pytest.importorskip("httpx2", reason="Starlette's client for tests needs it")
from starlette.testclient import TestClient

from jaxmeta.cli.demo import server
from jaxmeta.cli.demo.guard import Address
from jaxmeta.cli.demo.jobs import Job, Jobs
from jaxmeta.cli.demo.recognisers import load
from jaxmeta.cli.demo.server import bound, make_app
from jaxmeta.cli.demo.session import Session
from jaxmeta.cli.main import main
from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import read_manifest
from tests.recognition.pretrained.conftest import greetings, whisper_folder  # noqa: F401
from tests.verification.conftest import waveform

pytestmark = pytest.mark.slow
HERE = Address(8765, "secret")
ORIGIN = "http://127.0.0.1:8765"
TEXTS = ["ab", "ba ab", "b", "a ba"]


class InThisProcess(Jobs):
    """Runs a command where the test runs: another process would import and compile everything again."""

    def start(self, kind, arguments, finish):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            main(arguments)
        finish()
        self.last = Job(kind, "done", result=json.loads(output.getvalue()))


def client_of(session, **headers):
    client = TestClient(make_app(session, HERE), base_url=ORIGIN, headers={"origin": ORIGIN} | headers)
    client.cookies.set(HERE.cookie, HERE.key)
    return client


@pytest.fixture(scope="module")
def small(recogniser_folder):
    return load(recogniser_folder)


@pytest.fixture
def session(small, tmp_path):
    return Session(small, tmp_path)


@pytest.fixture
def client(session):
    return client_of(session)


def keep(client, tones, kind="recordings"):
    for file, text in zip(tones, TEXTS, strict=True):
        answer = client.post(f"/api/{kind}", params={"text": text}, content=file.read_bytes())
        assert answer.status_code == 200, answer.text


def test_only_who_has_the_key_gets_an_answer_and_the_page_gets_it_as_a_cookie(session):
    client = TestClient(make_app(session, HERE), base_url=ORIGIN)
    for path in ("/", "/main.js", "/api/state", "/?key=wrong", "/api/state?key=secret"):
        assert client.get(path).status_code == 403
    assert "printed" in client.get("/api/state").json()["error"]
    opened = client.get(HERE.url, follow_redirects=False)
    assert opened.status_code == 303 and opened.headers["location"] == "/"
    assert {"HttpOnly", "SameSite=strict"} <= set(opened.headers["set-cookie"].split("; "))
    page = client.get("/")
    assert page.status_code == 200 and "<h1>jaxmeta demo</h1>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


def test_the_key_for_the_browser_that_the_command_starts_opens_the_page_once(session):
    app = make_app(session, HERE, "once")
    browser, other = TestClient(app, base_url=ORIGIN), TestClient(app, base_url=ORIGIN)
    assert other.get("/?key=").status_code == 403
    assert browser.get(HERE.url_with("once")).status_code == 200  # By the cookie that it got.
    assert other.get(HERE.url_with("once")).status_code == other.get("/?key=").status_code == 403
    assert other.get(HERE.url).status_code == browser.get("/").status_code == 200


def test_other_sites_and_names_are_refused(session):
    assert client_of(session, host="evil.example:8765").get("/api/state").status_code == 421
    assert client_of(session, origin="http://evil.example").post("/api/job/adapt").status_code == 403


def test_what_is_sent_is_bounded(client, monkeypatch):
    monkeypatch.setattr(server, "MOST_BYTES", 1_000_000)
    for content in (bytes(1_000_001), iter([bytes(600_000)] * 2)):  # The second one does not say its length.
        answer = client.post("/api/transcribe", content=content)
        assert answer.status_code == 413 and "1 MB" in answer.json()["error"]


def test_what_is_no_recording_is_refused_in_words(client, tones):
    answer = client.post("/api/transcribe", content=b"no sound")
    assert answer.status_code == 422 and answer.json()["error"].startswith("The recording")
    sound = tones[0].read_bytes()
    for text, said in (("", "is empty"), ("xyz", "writes only:"), (200 * "ab", "too long")):
        answer = client.post("/api/recordings", params={"text": text}, content=sound)
        assert answer.status_code == 422 and said in answer.json()["error"]
    silent = client.post("/api/transcribe", content=sound[:44] + bytes(len(sound) - 44))
    assert "is silent" in silent.json()["error"]
    assert client.post("/api/others", content=sound).status_code == 422
    assert client.get("/api/state").json()["recordings"] == []


def test_recordings_are_kept_corrected_played_and_deleted(client, tones, tmp_path):
    keep(client, tones)
    assert read_manifest(tmp_path / "recordings").columns["transcription"].tolist() == TEXTS
    names = [row["name"] for row in client.get("/api/state").json()["recordings"]]
    assert client.get(f"/api/recordings/{names[0]}").content.startswith(b"fLaC")
    assert client.patch(f"/api/recordings/{names[0]}", json={"text": "ba"}).status_code == 200
    assert client.patch(f"/api/recordings/{names[0]}", json={"text": "q"}).status_code == 422
    assert client.delete(f"/api/recordings/{names[1]}").status_code == 200
    assert client.get(f"/api/recordings/{names[1]}").status_code == 422
    assert read_manifest(tmp_path / "recordings").columns["transcription"].tolist() == ["ba", "b", "a ba"]


def test_adaptation_is_taken_over_downloaded_and_there_after_a_restart(session, client, small, tones, tmp_path):
    sound = tones[1].read_bytes()
    assert client.post("/api/transcribe", content=sound).json()["after"] is None
    assert "two recordings" in client.post("/api/job/adapt").json()["error"]
    assert client.get("/api/adapted.zip").status_code == 422
    keep(client, tones)
    assert client.post("/api/job/adapt", json={"always": True}).status_code == 200
    session.jobs._thread.join(600)
    state = client.get("/api/state").json()
    assert state["job"]["state"] == "done", state["job"]
    figures = state["adaptation"]["figures"]
    assert figures["adapted"] and figures["change_low"] <= figures["change"] <= figures["change_high"]
    assert [row["learnt"]["said"] for row in state["recordings"]] == TEXTS
    texts = client.post("/api/transcribe", content=sound).json()
    assert texts["after"] == "ba ab" != texts["before"]
    with zipfile.ZipFile(io.BytesIO(client.get("/api/adapted.zip").content)) as archive:
        names = set(archive.namelist())
    assert names == {f"adapted-1/{name}" for name in ("card.json", "vocabulary.json", "weights.npz")}
    report = client.get("/api/report")
    assert "Before and after adaptation" in report.text and "script" not in report.headers["content-security-policy"]
    assert report.text.count("<audio") == len(TEXTS)
    again = client_of(Session(small, tmp_path))
    assert again.get("/api/state").json()["adaptation"] == state["adaptation"]
    assert again.post("/api/transcribe", content=sound).json()["after"] == "ba ab"


def test_a_whisper_learns_adapters_and_those_learn_no_more(whisper_folder, greetings, tmp_path):  # noqa: F811
    sounds = [file.read_bytes() for file in sorted((greetings / "audio").glob("*.wav"))[:2]]
    whisper = load(whisper_folder)
    session = Session(whisper, tmp_path, jobs=InThisProcess())
    client = client_of(session)
    for sound in sounds:
        assert client.post("/api/recordings?text=hello world", content=sound).status_code == 200
    assert client.post("/api/job/adapt", json={"always": True}).status_code == 200
    # The demo shares the weights that did not learn; they are those of the folder when it is read as a whole.
    whole = load(tmp_path / "adapted-1")
    shared, read, before = (each._recogniser.params for each in (session.adapted, whole, whisper))
    assert jax.tree.all(jax.tree.map(np.array_equal, shared, read))
    assert not jax.tree.all(jax.tree.map(np.array_equal, shared, before))
    assert client.post("/api/transcribe", content=sounds[0]).json()["after"] is not None
    assert "adapted to a voice already" in whole.fixed
    (tmp_path / "adapted-1/weights.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"weights.npz.* For the demo: .*demo.json: delete it, and adapt again"):
        Session(whisper, tmp_path)


def test_a_voice_is_enrolled_and_told_from_another(small, assistant_folder, tmp_path):
    (tmp_path / "out").mkdir()
    session = Session(small, tmp_path / "out", assistant=assistant_folder, jobs=InThisProcess())
    client, sounds = client_of(session), {}
    for voice in ("low", "other"):
        for take in range(4):
            write_audio(tmp_path / "take.wav", waveform("hum", voice, take), 16_000)
            sounds[voice, take] = (tmp_path / "take.wav").read_bytes()
    assert "no recording" in client.post("/api/job/enroll").json()["error"]
    for take in range(3):
        assert client.post("/api/words?text=hum", content=sounds["low", take]).status_code == 200
    assert client.post("/api/job/enroll").status_code == 200
    state = client.get("/api/state").json()
    assert state["job"]["state"] == "done" and state["job"]["result"]["recordings"] == 3
    assert state["voice"]["enrolled"]["words"] == {"hum": 3}
    own, other = (client.post("/api/transcribe", content=sounds[name, 3]).json()["voice"] for name in ("low", "other"))
    assert (own["decision"], other["decision"]) == ("accept", "reject") and own["probability"] > 0.9
    enrolled = tmp_path / "out/enrolled-1"
    for given in ({}, {"assistant": assistant_folder}):
        assert Session(small, tmp_path / "out", **given).user.folder == enrolled
    # Another network or enrolment that is asked for is not passed over for the one that is there.
    moved = shutil.copytree(assistant_folder, tmp_path / "moved")
    assert Session(small, tmp_path / "out", assistant=moved).user is None
    user = shutil.copytree(enrolled, tmp_path / "user")
    assert Session(small, tmp_path / "out", user=user).user.folder == user


def test_a_port_in_use_is_an_error_of_one_line():
    with bound(0) as first:
        first.listen()
        port = first.getsockname()[1]
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ValueError, match=f"^--port {port} is in use; give another one, or 0"):
            bound(port)
