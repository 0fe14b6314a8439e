"""Debian's Chromium in front of the page, the local AWS and the stand-in Hanko.

Chromium is told that example.com and its like are on this machine: the APIs keep the origin that their templates have.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from tab import PATIENCE_MS, SITE, Recorded, Tab

from local.deployment import Deployment
from local.web.front import Forward, Front, Place
from local.web.page import build_page
from local.web.places import places_of, stand_in_config


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def front(deployment: Deployment, recorded: Recorded) -> Iterator[Front]:
    page = build_page()
    with Front(SITE.names) as front:
        places = places_of(SITE, deployment, page, stand_in_config(SITE))
        front.serve(
            {
                host: {
                    prefix: recorded.place(f"{host}{prefix}", place) if is_seen(host, place) else place
                    for prefix, place in there.items()
                }
                for host, there in places.items()
            }
        )
        yield front


def is_seen(host: str, place: Place) -> bool:
    """A tunnel cannot be wrapped."""
    return isinstance(place, Forward) and not host.startswith("ws.")


@pytest.fixture(scope="module")
def chromium(front: Front) -> Iterator[Browser]:
    """One process for all tests of a file: while it runs, no event loop can in this thread."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "Chromium is missing (Debian: apt-get install chromium)"
    hosts = ",".join(f"MAP {name} 127.0.0.1:{front.port}" for name in SITE.names)
    arguments = [
        "--no-sandbox",  # root's Chromium does not start with one
        "--disable-dev-shm-usage",  # in a container it is small
        f"--host-resolver-rules={hosts}",
        f"--ignore-certificate-errors-spki-list={front.key_hash}",
    ]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, recorded: Recorded) -> Iterator[BrowserContext]:
    recorded.requests.clear()
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Tab]:
    """A new profile's page. Whatever happens in a test, its console stays clean."""
    opened = Tab(context.new_page()).open()
    yield opened
    assert opened.errors == []


@pytest.fixture
def axe() -> str:
    """The program that looks for what keeps people out."""
    return (Path(__file__).parents[2] / "examples" / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()
