"""Who may talk to the demo: requests of other sites and of other users are refused, by the rules of browsers."""

import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason='needs the extra "demo"')
from jaxmeta.cli.demo.guard import HEADERS, Address, refusal

HERE = Address(8765, "secret")
OWN = {"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}
PAGE = Path(__file__).parents[3] / "jaxmeta/cli/demo/page"


def status(method="GET", path="/api/state", **headers):
    refused = refusal(HERE, method, path, OWN | {name.replace("_", "-"): value for name, value in headers.items()})
    return 200 if refused is None else refused.status


def test_the_page_itself_is_answered():
    assert status() == status("POST") == status("DELETE") == 200
    assert status("POST", host="localhost:8765", origin="http://localhost:8765") == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:80", "192.168.0.2:8765", "0.0.0.0:8765", ""]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    assert status(host=host) == status("POST", host=host, origin=f"http://{host}") == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:9", "null", "http://127.0.0.1"]
)
def test_requests_of_other_pages_are_refused(origin):
    assert status(origin=origin) == status("POST", origin=origin) == status("DELETE", origin=origin) == 403


def test_what_changes_something_needs_an_origin():
    without = {name: value for name, value in OWN.items() if name != "origin"}
    assert refusal(HERE, "GET", "/api/state", without) is None
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        assert refusal(HERE, method, "/api/state", without).status == 403


def test_other_sites_may_link_to_the_page_and_include_nothing_of_it():
    assert status(path="/", sec_fetch_site="cross-site") == 200
    assert status(path="/api/recordings/a.flac", sec_fetch_site="cross-site") == 403
    assert status(path="/api/state", sec_fetch_site="same-site") == 403


def test_the_policy_keeps_the_page_to_itself():
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_the_page_names_no_other_site_and_makes_no_html_of_texts(path):
    content = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|innerHTML|insertAdjacentHTML|document\.write|eval\(", content)
    assert len(content.splitlines()) <= 300
