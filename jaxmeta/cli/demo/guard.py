"""Who may talk to the demo: the page itself, opened by whoever has the address that the command printed.

A page of another site can send requests to this machine, too, and by DNS rebinding even read the answers. Other users
of this machine can connect as well. So the names of host and origin are checked, and a key that only the printed
address holds.
"""

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

HOST = "127.0.0.1"
_READING = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer that has none of its own."""


class Address(NamedTuple):
    """Where a demo is served, and the key to it."""

    port: int
    key: str

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the key; browsers do not keep those of several ports apart."""
        return f"jaxmeta-{self.port}"

    @property
    def url(self) -> str:
        """What a browser is to open."""
        return self.url_with(self.key)

    def url_with(self, key: str) -> str:
        """The page's address with another key."""
        return f"http://{HOST}:{self.port}/?key={key}"


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    reason: str


def refusal(address: Address, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
    """Why a request is refused; None: it is the page's own, apart from the key.

    Args:
      address: of the demo.
      method, path: of the request.
      headers: with names in lower case.

    >>> refusal(Address(8765, "secret"), "GET", "/", {"host": "evil.example:8765"}).status
    421
    """
    hosts = [f"{HOST}:{address.port}", f"localhost:{address.port}"]
    if headers.get("host", "").lower() not in hosts:
        return Refusal(421, f"This page is served as {hosts[0]} only; open that address.")
    origin = headers.get("origin")
    if origin is None and method not in _READING:
        return Refusal(403, "A request that changes something must come from the page itself (no Origin header).")
    if origin is not None and origin.lower() not in [f"http://{host}" for host in hosts]:
        return Refusal(403, "This request comes from a page of another site.")
    if path != "/" and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return Refusal(403, "This request comes from a page of another site.")
    return None


class Guard:
    """ASGI middleware that answers only the page's own requests, and adds `HEADERS`.

    Args:
      app: that answers.
      address: of the page.
      key_for_once: opens the page once, as the key of the address always does. It is for the browser that the command
        starts, whose command line every user of this machine can read. "": there is none.
    """

    def __init__(self, app: Any, address: Address, key_for_once: str = "") -> None:
        self._app, self._address, self._key_for_once = app, address, key_for_once

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":  # Lifespan and websockets, which there are none of.
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _answer(self, scope: Any) -> Any:
        headers, path = Headers(scope=scope), scope["path"]
        if refused := refusal(self._address, scope["method"], path, headers):
            return _refused(path, refused)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if path == "/" and (self._opens(given) or self._opens_once(given)):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._address.cookie, self._address.key, httponly=True, samesite="strict")
            return answer
        if not self._opens(_cookie(headers.get("cookie", ""), self._address.cookie)):
            reason = "Open the address that `jaxmeta demo` has printed: it holds a key, so that nobody else who uses "
            return _refused(path, Refusal(403, f"{reason}this machine can listen to your recordings."))
        return None

    def _opens(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(), self._address.key.encode())

    def _opens_once(self, key: str) -> bool:
        if not self._key_for_once or not hmac.compare_digest(key.encode(), self._key_for_once.encode()):
            return False
        self._key_for_once = ""
        return True


def _cookie(header: str, name: str) -> str:
    try:
        held = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if held is None else held.value


def _refused(path: str, why: Refusal) -> Any:
    if path.startswith("/api/"):
        return JSONResponse({"error": why.reason}, why.status)
    return PlainTextResponse(why.reason, why.status)
