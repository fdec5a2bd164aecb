"""The demo in a real browser without a window, whose microphone plays a file."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason='needs the extra "demo"')
pytest.importorskip("uvicorn", reason='needs the extra "demo"')
pytest.importorskip("playwright", reason='needs the extra "browser"')
from playwright.sync_api import sync_playwright

from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.data.manifest import read_manifest

pytestmark = pytest.mark.slow
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = os.environ.get("JAXMETA_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
TEXTS = ["ab", "ba ab", "b", "a ba"]
LONG = 600_000
"""Milliseconds that a busy machine may take for what takes seconds."""


@pytest.fixture
def demo(recogniser_folder, tmp_path):
    """The command, which has begun to answer: its process and the address that it printed."""
    command = ["demo", str(recogniser_folder), "--out", str(tmp_path / "out"), "--port", "0", "--no-browser"]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-m", "jaxmeta.cli", *command], stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        try:
            yield process, process.stderr.readline().strip()
        finally:
            process.kill()


@pytest.fixture
def page(tones, tmp_path):
    """A page of a phone's width in a browser whose microphone says "ba ab" once, and then nothing."""
    if PROGRAM is None:
        pytest.skip("needs Chromium on PATH, or its file in JAXMETA_CHROMIUM")
    silence = np.zeros(4_000, np.float32)
    spoken = tmp_path / "spoken.wav"
    write_audio(spoken, np.concatenate([read_audio(tones[1]), silence]), 16_000)
    options = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=[*options, f"--use-file-for-fake-audio-capture={spoken}%noloop"]
        )
        context = browser.new_context(viewport={"width": 360, "height": 740})
        context.set_default_timeout(LONG)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda said: page.problems.append(said.text) if said.type == "error" else None)
        yield page
        browser.close()


def test_record_transcribe_correct_adapt_and_see_both_transcripts(demo, page, tones, tmp_path):
    process, address = demo
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=\S+", address)
    page.goto(address)
    page.click("#record")
    page.wait_for_selector("#elapsed:has-text('1 s')")
    page.click("#record")
    page.wait_for_selector("#result:visible")
    assert page.inner_text("#after") == "Nothing is adapted yet."
    before = page.inner_text("#before")
    page.fill("#said", "ba ab")
    page.click("#keep")
    page.wait_for_selector("#recordings li")
    for number, (file, text) in enumerate(zip(tones, TEXTS, strict=True), 2):
        page.set_input_files("#file", file)
        page.wait_for_selector("#result:visible")
        page.fill("#said", text)
        page.click("#keep")
        page.wait_for_selector(f"#recordings li:nth-child({number})")
    manifest = read_manifest(tmp_path / "out/recordings")
    assert manifest.columns["transcription"].tolist() == ["ba ab", *TEXTS]
    # The microphone's recording holds the tones: nothing else has a level like theirs.
    assert 0.25 < np.abs(read_audio(manifest.paths()[0])).max() < 0.35

    page.set_input_files("#file", tones[1])
    page.wait_for_selector("#result:visible")
    page.check("#always")
    page.click("#adapt")
    page.wait_for_selector("#verdict:visible")
    page.wait_for_selector("#status:has-text('Adaptation is done')")
    assert "95 % interval" in page.inner_text("#verdict-figures")
    assert page.inner_text("#after") == "ba ab" != before
    assert page.evaluate("document.documentElement.scrollWidth") == 360  # Nothing is cut off on a phone.
    page.fill("#said", "")
    page.press("#said", "Tab")
    assert page.evaluate("document.activeElement.id") == "keep"
    page.keyboard.press("Enter")
    page.wait_for_selector("#error:has-text('The text is empty')")
    # The last request is refused on purpose, which the browser's console says, too.
    assert [each for each in page.problems if "422" not in each] == []
    process.terminate()  # Not SIGINT: what a shell starts in the background does not hear it.
    assert process.wait(300) == 143
