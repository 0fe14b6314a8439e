"""The page of examples/web/ in a tab of Chromium, in the words of a user."""

import re
from dataclasses import dataclass, field
from typing import Self

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from local.web.front import Place, Reply, Request
from local.web.places import Site

SITE = Site(domain="example.com", elsewhere="example.net", hanko="hanko.example.org")
PATIENCE_MS = 60_000  # a handler's cold start on a loaded machine
# Chromium reports each answer above 399 and each broken connection as an error of the page's.
OF_THE_NETWORK = re.compile(r"Failed to load resource: |WebSocket connection to .* failed")


@dataclass
class Recorded:
    """What came to the APIs and to Hanko, in order."""

    requests: list[tuple[str, Request]] = field(default_factory=list)

    def place(self, name: str, place: Place) -> Place:
        def answer(request: Request) -> Reply:
            self.requests.append((name, request))
            return place(request)

        return answer

    def to(self, name: str) -> list[Request]:
        return [request for there, request in self.requests if there.startswith(name)]


class Tab:
    """The page in a tab, in the words of a user."""

    states = "in|out|unknown"  # that the page may be in once it has asked
    of_the_network = OF_THE_NETWORK

    def __init__(self, page: Page, address: str = SITE.page) -> None:
        self.page, self._address = page, address
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.of_the_network.match(message.text):
            self.errors.append(message.text)

    def open(self) -> Self:
        self.page.goto(self._address)
        expect(self.who).to_have_attribute("data-state", re.compile(self.states))
        return self

    @property
    def who(self) -> Locator:
        return self.page.locator("#who")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def last(self) -> Locator:
        """The newest answer."""
        return self.page.locator("#answers > li").first

    def choose(self, api: str = "REST, TOKEN", by: str = "in the header") -> None:
        self.page.get_by_label(api, exact=True).check()
        self.page.get_by_label(by).check()

    def call(self, name: str, status: int) -> Locator:
        """Press the button, wait for the answer, and return it."""
        before = self.page.locator("#answers > li").count()
        self.page.get_by_role("button", name=name, exact=True).click()
        expect(self.page.locator("#answers > li")).to_have_count(before + 1)
        expect(self.last).to_have_attribute("data-status", str(status))
        return self.last

    def pick(self, person: str) -> None:
        """In the dialog, which then closes."""
        self.page.frame_locator("iframe").get_by_role("button", name=person, exact=True).click()
        expect(self.dialog).to_be_hidden()

    def give_up(self) -> None:
        """Close the dialog."""
        expect(self.dialog).to_be_visible()
        self.page.keyboard.press("Escape")
        expect(self.dialog).to_be_hidden()

    def sign_in(self, person: str = "A reader, with a passkey") -> None:
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.pick(person)
        expect(self.who).to_contain_text("Signed in as")
