"""`jaxmeta demo RECOGNISER`"""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from jaxmeta.cli.ranges import Certainty, Probability, Within


def demo(
    recogniser: Positional[Path | None] = None,
    out: Path = Path("runs/demo"),
    assistant: Path | None = None,
    user: Path | None = None,
    port: Annotated[int, Within(0, 65_535)] = 8765,
    browser: bool = True,
    language: str | None = None,
    base: Path | None = None,
    prior: Probability = 0.5,
    sure: Certainty = 0.9,
) -> None:
    """Open a page to record, correct and adapt: transcripts before and after adaptation, side by side.

    Only this machine can reach the page, and nothing leaves it. Needs the extra "demo".

    Args:
        recogniser: Folder that `jaxmeta transcribe` takes: a recogniser, also on a public encoder, or a public Whisper.
        out: Folder for the recordings that are kept, and for what is adapted and enrolled; the next demo with this
            folder goes on with them.
        assistant: Folder of a network for voices, as `jaxmeta train assistant` writes it: enrols a voice and words.
        user: An enrolment that `jaxmeta enroll` wrote, to judge recordings by and to add to, instead of an assistant.
        port: That the page is served at; 0 for any that is free.
        browser: Open the page in the browser; its address is printed anyway.
        language: Of the recordings, such as "de", for a Whisper of many languages; English without it.
        base: Folder of the public network that a recogniser belongs to, if it is not where it was.
        prior: Probability that it is the enrolled voice that speaks, before anything is heard.
        sure: Probability afterwards from which the voice is accepted; below 1 - sure it is rejected.
    """
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise ImportError(f"the page needs {' and '.join(missing)}; install the extra: pip install 'jaxmeta[demo]'")
    import webbrowser

    from jaxmeta.cli.demo.recognisers import HOW_TO_GET_ONE, load
    from jaxmeta.cli.demo.server import bound, serve
    from jaxmeta.cli.demo.session import Session
    from jaxmeta.cli.endings import WritingError
    from jaxmeta.files.durable import lock
    from jaxmeta.verification.assistant import load_assistant
    from jaxmeta.verification.gate import make_gate

    if recogniser is None:
        raise ValueError(f"no recogniser; name its folder. {HOW_TO_GET_ONE}.")
    if assistant is not None and user is not None:
        raise ValueError("--assistant and --user: give one of them, for an enrolment has its own network.")
    loaded = load(recogniser, base, language)
    if assistant is not None:
        load_assistant(assistant)  # A damaged one is named now, not when somebody is to be enrolled.
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WritingError(f"--out {out}: cannot be written ({error.strerror}); name another folder.") from None
    with lock(out), bound(port) as listening:
        session = Session(loaded, out, assistant=assistant, user=user, gate=make_gate(prior, sure))
        serve(session, listening, webbrowser.open if browser else None)
