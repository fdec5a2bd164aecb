"""The demo over HTTP, on this machine alone. Needs the extra "demo"."""

import asyncio
import errno
import json
import secrets
import socket
import sys
import tempfile
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from jaxmeta.cli.demo.guard import HOST, Address, Guard
from jaxmeta.cli.demo.session import Kind, Session
from jaxmeta.reporting.folder import report
from jaxmeta.reporting.recognised import RECOGNISED

MOST_BYTES = 64_000_000
"""Of a recording that is sent: ten minutes at 48 kHz and 16 bits."""
_PAGE = Path(__file__).parent / "page"
_PIECE = 1 << 20
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; frame-ancestors 'none'"


class TooLargeError(ValueError):
    """More bytes than are taken."""


def make_app(session: Session, address: Address, key_for_once: str = "") -> Any:
    """The demo as an ASGI application that checks every request by `guard`, with the keys of `Guard`."""

    async def state(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.state))

    async def transcribe(request: Request) -> Response:
        async with _sent(request) as file:
            return await _answer(file, lambda: session.transcribe(file))

    async def keep(request: Request) -> Response:
        kind, text = _kind(request), request.query_params.get("text", "")
        async with _sent(request) as file:
            return await _answer(file, lambda: {"name": session.keep(kind, file, text)})

    async def change(request: Request) -> Response:
        text = (await _body(request)).get("text")
        if not isinstance(text, str):
            raise ValueError("There is no text.")
        await run_in_threadpool(session.change, _kind(request), request.path_params["name"], text)
        return JSONResponse({})

    async def remove(request: Request) -> Response:
        await run_in_threadpool(session.remove, _kind(request), request.path_params["name"])
        return JSONResponse({})

    async def audio(request: Request) -> Response:
        path = await run_in_threadpool(session.kinds[_kind(request)].path, request.path_params["name"])
        return FileResponse(path, media_type="audio/flac")

    async def adapt(request: Request) -> Response:
        always = (await _body(request)).get("always") is True
        await run_in_threadpool(lambda: session.adapt(always=always))
        return JSONResponse({})

    async def enroll(request: Request) -> Response:
        await run_in_threadpool(session.enroll)
        return JSONResponse({})

    async def cancel(request: Request) -> Response:
        await run_in_threadpool(session.jobs.cancel)
        return JSONResponse({})

    async def archive(request: Request) -> Response:
        file = await run_in_threadpool(_packed, _adapted(session))
        named = {"Content-Disposition": 'attachment; filename="adapted.zip"'}
        return StreamingResponse(_pieces(file), media_type="application/zip", headers=named)

    async def about(request: Request) -> Response:
        page = await run_in_threadpool(lambda: report(_adapted(session), roots=[session.out]))
        return HTMLResponse(page, headers={"Content-Security-Policy": _REPORT_POLICY})

    one = "/api/{kind:str}/{name:str}"
    routes = [
        Route("/api/state", state),
        Route("/api/transcribe", transcribe, methods=["POST"]),
        Route("/api/job/adapt", adapt, methods=["POST"]),
        Route("/api/job/enroll", enroll, methods=["POST"]),
        Route("/api/job", cancel, methods=["DELETE"]),
        Route("/api/adapted.zip", archive),
        Route("/api/report", about),
        Route("/api/{kind:str}", keep, methods=["POST"]),
        Route(one, change, methods=["PATCH"]),
        Route(one, remove, methods=["DELETE"]),
        Route(one, audio, methods=["GET"]),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    handlers: Any = {ValueError: _refuse, OSError: _refuse}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), address, key_for_once)


def bound(port: int) -> socket.socket:
    """A socket that listens on this machine's loopback alone; port 0 takes a free one.

    Raises:
      ValueError: the port is in use, or not to be had; says so.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "is in use" if error.errno == errno.EADDRINUSE else "is not for this user"
        raise ValueError(f"--port {port} {why}; give another one, or 0 for any that is free.") from None
    return listening


def serve(session: Session, listening: socket.socket, opened: Callable[[str], Any] | None = None) -> None:
    """Serve the page until the process is told to end.

    Args:
      session: what is served.
      listening: from `bound`.
      opened: called in a thread, once the page answers, with an address that opens it once.
    """
    address = Address(listening.getsockname()[1], secrets.token_urlsafe(16))
    key_for_once = "" if opened is None else secrets.token_urlsafe(16)

    class Server(uvicorn.Server):
        # Signals end this command as they end the others.
        def capture_signals(self) -> Any:
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"{address.url}\nOnly this machine can open it. Ctrl-C ends.", file=sys.stderr, flush=True)
            threading.Thread(target=session.prepare, daemon=True).start()
            if opened is not None:
                # A browser in the terminal returns at its end only, and has to be served until then.
                threading.Thread(target=opened, args=(address.url_with(key_for_once),), daemon=True).start()

    config = uvicorn.Config(
        make_app(session, address, key_for_once), log_level="error", access_log=False, lifespan="off", ws="none",
        server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    try:
        asyncio.run(Server(config).serve([listening]))
    finally:
        session.close()


def _kind(request: Request) -> Kind:
    kind = request.path_params["kind"]
    if kind not in ("recordings", "words"):
        raise ValueError(f"There is nothing called {kind!r} here.")
    return cast(Kind, kind)


def _adapted(session: Session) -> Path:
    if session.progress.adapted is None:
        raise ValueError("Nothing is adapted yet.")
    return session.out / session.progress.adapted


@asynccontextmanager
async def _sent(request: Request) -> AsyncIterator[Path]:
    """The recording that was sent, in a file that is gone afterwards. Raises TooLargeError."""
    with tempfile.NamedTemporaryFile(prefix="jaxmeta-", suffix=".audio") as file:
        async for piece in _limited(request, MOST_BYTES):
            file.write(piece)
        file.flush()
        yield Path(file.name)


async def _limited(request: Request, most: int) -> AsyncIterator[bytes]:
    size, declared = 0, request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise TooLargeError(f"More than {most // 1_000_000} MB were sent; send a shorter recording.")
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise TooLargeError(f"More than {most // 1_000_000} MB were sent; send a shorter recording.")
        yield piece


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; empty where there is none."""
    held = json.loads(b"".join([piece async for piece in _limited(request, _PIECE)]) or b"{}")
    if not isinstance(held, dict):
        raise ValueError("What was sent is no JSON object.")
    return held


async def _answer(file: Path, work: Callable[[], dict[str, Any]]) -> Response:
    """What work on a recording gives; errors do not name the temporary file."""
    try:
        return JSONResponse(await run_in_threadpool(work))
    except ValueError as error:
        raise ValueError(str(error).replace(str(file), "The recording")) from error


def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)
    status = 413 if isinstance(error, TooLargeError) else 507 if isinstance(error, OSError) else 422
    return JSONResponse({"error": str(error)}, status)


def _packed(folder: Path) -> Any:
    """A folder as a ZIP file, without the transcripts that are beside the weights."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  `_pieces` closes it.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != RECOGNISED:
                archive.write(path, Path(folder.name) / path.relative_to(folder))
    file.seek(0)
    return file


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
