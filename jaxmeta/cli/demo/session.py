"""What the demo knows and does, without the page: recordings, the recogniser, what was adapted, and who is enrolled.

All of it stands in one folder, so that the demo goes on where it was stopped:

    recordings/   what was corrected; a folder for `jaxmeta adapt`
    words/        recordings of single words and of the voice; a folder for `jaxmeta enroll`
    adapted-N/    what `jaxmeta adapt` made of the recordings
    enrolled-N/   what `jaxmeta enroll` made of the words
    demo.json     which of these folders are used, and with which recogniser
"""

import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

import jaxmeta
from jaxmeta.cli.demo.jobs import Jobs
from jaxmeta.cli.demo.recognisers import DemoRecogniser, check_recording, check_sound
from jaxmeta.cli.demo.recordings import Recordings
from jaxmeta.cli.demo.voices import EnrolledVoice
from jaxmeta.data.audio import AudioError, declared_seconds, read_audio
from jaxmeta.files.cards import Place, build
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.reporting.recognised import read_recognised
from jaxmeta.verification.gate import Gate, make_gate
from jaxmeta.verification.recordings import LEAST_SOUND

STATE = "demo.json"
LONGEST = 600.0
"""Seconds of a recording that is transcribed."""
_REMEDY = "delete it, and adapt again; recordings stay"
Kind = Literal["recordings", "words"]


@dataclass(frozen=True)
class Progress:
    """What `demo.json` says."""

    recogniser: str
    """Folder of the recogniser."""
    adapted: str | None = None
    """Name of the folder that was adapted from it."""
    enrolled: str | None = None
    """Name of the folder of the enrolment."""
    voices: str | None = None
    """Folder of the network for voices, or of the enrolment, that it was made with."""


class Session:
    """All that a page can ask for; methods may be called from several threads.

    Args:
      recogniser: that is adapted.
      out: folder of this demo, which exists.
      assistant: folder of a network for voices, or None.
      user: an enrolment to add to, or None.
      jobs: runs commands.
      gate: decides on speakers.
    Raises:
      ValueError: what the folder holds is damaged, and what to do.
    """

    def __init__(
        self,
        recogniser: DemoRecogniser,
        out: Path,
        *,
        assistant: Path | None = None,
        user: Path | None = None,
        jobs: Jobs | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.recogniser, self.out, self.jobs = recogniser, out, jobs or Jobs()
        self._assistant, self._first_user, self._gate = assistant, user, gate or make_gate()
        self.kinds = {
            "recordings": Recordings(out / "recordings", "transcription"), "words": Recordings(out / "words", "label")
        }  # fmt: skip
        self._computing = threading.Lock()
        self._ready = threading.Event()
        self.progress = self._read_progress()
        name = self.progress.adapted
        try:
            self.adapted = None if name is None else recogniser.adapted(out / name)
            self.user = self._load_user()
        except ValueError as error:
            raise ValueError(f"{error} For the demo: {out / STATE}: {_REMEDY}.") from error

    def state(self) -> dict[str, Any]:
        """What the page shows, as plain values."""
        rows = {kind: [each._asdict() for each in held.rows()] for kind, held in self.kinds.items()}
        adaptation, job = self._adaptation(), self.jobs.last
        learnt = {} if adaptation is None else adaptation["recordings"]
        for row in rows["recordings"]:
            row["learnt"] = learnt.get(row["name"])
        return rows | {
            "version": jaxmeta.__version__,
            "ready": self._ready.is_set(),
            "folder": str(self.out),
            "recogniser": {
                "folder": str(self.recogniser.folder),
                "fixed": self.recogniser.fixed,
                "longest": self.recogniser.longest,
            },
            "adaptation": adaptation,
            "job": None if job is None else job.view(),
            "voice": {
                "enrols": self._assistant is not None or self._first_user is not None,
                "enrolled": None if self.user is None else self.user.summary(),
            },
        }

    def prepare(self) -> None:
        """Compile what recognises a sentence, so that the first one need not wait for it."""
        noise = np.random.default_rng(0).normal(0, 0.01, 3 * self.recogniser.rate).astype(np.float32)
        try:
            with self._computing:
                (self.adapted or self.recogniser).transcribe(noise)
        finally:  # The page must not wait for what has failed.
            self._ready.set()

    def transcribe(self, file: Path) -> dict[str, Any]:
        """The text of a recording before and after adaptation, and whose voice it is.

        Raises:
          ValueError: it cannot be read, is silent, or too long.
        """
        waveform = self._read(file)
        with self._computing:
            adapted, user = self.adapted, self.user
            before = self.recogniser.transcribe(waveform)
            after = None if adapted is None else adapted.transcribe(waveform)
            try:
                voice = None if user is None else user.judge(file)
            except AudioError:  # Long enough to be transcribed, and too short for a voice.
                voice = None
        seconds = len(waveform) / self.recogniser.rate
        return {"before": before, "after": after, "seconds": seconds, "voice": voice}

    def keep(self, kind: Kind, file: Path, text: str) -> str:
        """Write a recording with its text into the folder of its kind; returns its name.

        Raises:
          ValueError: it cannot be learnt from, and why. OSError: it could not be written.
        """
        waveform = self._read(file)
        if kind == "recordings":
            check_recording(self.recogniser, waveform, text)
        else:
            check_sound(waveform, self.recogniser.rate, LEAST_SOUND)
        return self.kinds[kind].add(waveform, self.recogniser.rate, text)

    def change(self, kind: Kind, name: str, text: str) -> None:
        """Correct the text of a recording. Raises as `keep`."""
        held = self.kinds[kind]
        if kind == "recordings":
            check_recording(self.recogniser, read_audio(held.path(name), self.recogniser.rate), text)
        held.change(name, text)

    def remove(self, kind: Kind, name: str) -> None:
        """Delete a recording. Raises ValueError while something is computed from it, or for an unknown name."""
        if self.jobs.running():
            raise ValueError("Recordings cannot be deleted while they are learnt from; wait, or cancel it.")
        self.kinds[kind].remove(name)

    def adapt(self, *, always: bool = False) -> None:
        """Begin to adapt to all recordings. Raises ValueError where that is not possible now."""
        if self.recogniser.fixed:
            raise ValueError(self.recogniser.fixed)
        if len(self.kinds["recordings"].rows()) < 2:
            raise ValueError("Adaptation needs two recordings at least, to try on one what it learns from another.")
        name = self._new("adapted")
        options = [*self.recogniser.options(), *["--always"] * always]
        self._start("adapt", [str(self.recogniser.folder.absolute())], "recordings", name, options)

    def enroll(self) -> None:
        """Begin to enrol the voice and words of all recordings of words. Raises as `adapt`."""
        if self._first_user is not None:
            options = ["--update", str(self._first_user.absolute())]
        elif self._assistant is not None:
            options = ["--assistant", str(self._assistant.absolute())]
        else:
            raise ValueError("There is no network for voices; start the demo with --assistant FOLDER.")
        if not self.kinds["words"].rows():
            raise ValueError("There is no recording to enrol; keep one or more as an example of the voice first.")
        self._start("enroll", [], "words", self._new("enrolled"), options)

    def close(self) -> None:
        """End what is still being computed."""
        self.jobs.cancel()

    def _start(self, command: str, first: Sequence[str], kind: Kind, name: str, options: Sequence[str]) -> None:
        out, manifest = (self.out / name).absolute(), self.kinds[kind].folder.absolute()
        arguments = [command, *first, str(manifest), "--out", str(out), "--json", "--resample", *options]
        self.jobs.start(command, arguments, lambda: self._take_over(command, name))

    def _take_over(self, command: str, name: str) -> None:
        """Use what a command has made, and delete what it made before."""
        if command == "adapt":
            adapted = self.recogniser.adapted(self.out / name)
            progress = replace(self.progress, recogniser=str(self.recogniser.folder.absolute()), adapted=name)
        else:
            user = EnrolledVoice(self.out / name, self._gate)
            progress = replace(self.progress, enrolled=name, voices=self._voices())
        write_sealed(self.out / STATE, "demo", asdict(progress))
        with self._computing:
            before, self.progress = self.progress, progress
            if command == "adapt":
                self.adapted = adapted
            else:
                self.user = user
        for old in {before.adapted, before.enrolled} - {progress.adapted, progress.enrolled, None}:
            shutil.rmtree(self.out / str(old), ignore_errors=True)

    def _voices(self) -> str | None:
        """What enrols: the folder of a network for voices, or of an enrolment."""
        folder = self._assistant or self._first_user
        return None if folder is None else str(folder.absolute())

    def _read_progress(self) -> Progress:
        """What stands in the folder, without what was made with another recogniser, network for voices or enrolment."""
        path, own = self.out / STATE, str(self.recogniser.folder.absolute())
        if not path.exists():
            return Progress(own)
        held = build(Progress, read_sealed(path, "demo", _REMEDY), Place(path, "", _REMEDY))
        names = [name for name in (held.adapted, held.enrolled) if name is not None]
        if wrong := [name for name in names if Path(name).name != name or not (self.out / name).is_dir()]:
            raise ValueError(f"{path}: names the folder {wrong[0]!r}, which is not there; {_REMEDY}.")
        if held.recogniser != own:
            held = replace(held, recogniser=own, adapted=None)
        voices = self._voices()
        return held if voices in (None, held.voices) else replace(held, enrolled=None, voices=None)

    def _load_user(self) -> EnrolledVoice | None:
        if self.progress.enrolled is not None:
            return EnrolledVoice(self.out / self.progress.enrolled, self._gate)
        return None if self._first_user is None else EnrolledVoice(self._first_user, self._gate)

    def _new(self, kind: str) -> str:
        """Name of a folder that is not there."""
        numbers = [path.name.removeprefix(f"{kind}-") for path in self.out.glob(f"{kind}-*")]
        return f"{kind}-{1 + max((int(number) for number in numbers if number.isdecimal()), default=0)}"

    def _adaptation(self) -> dict[str, Any] | None:
        """What the gate said of the adaptation in use, and what it recognised of each recording."""
        name = self.progress.adapted
        if name is None:
            return None
        folder, rows, figures = self.out / name, {}, None
        if (held := read_recognised(folder)) is not None:
            texts = zip(held.clips, held.said, held.before, held.after, strict=True)
            rows = {Path(clip.path).name: {"said": said, "before": b, "after": a} for clip, said, b, a in texts}
            figures = held.figures
        return {"folder": str(folder), "figures": figures, "recordings": rows}

    def _read(self, file: Path) -> Any:
        if (seconds := declared_seconds(file)) > LONGEST:
            raise ValueError(
                f"The recording lasts {seconds / 60:.0f} minutes, and up to {LONGEST / 60:.0f} are taken here; "
                "`jaxmeta transcribe` takes any length."
            )
        waveform = read_audio(file, self.recogniser.rate)
        check_sound(waveform, self.recogniser.rate, 0.05)
        return waveform
