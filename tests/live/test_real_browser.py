"""The page of examples/web/ and Hanko's own form in Chromium, with a virtual authenticator and a real Hanko."""

import re
import shutil
import uuid
from collections.abc import Iterator

import pytest
from live.conftest import variable
from live.real_hanko import PASSWORD, Mails, RealHanko, claims_of
from playwright.sync_api import Browser, BrowserContext, Locator, expect, sync_playwright
from tab import PATIENCE_MS, Tab

from local.live import PAGE_PORT, Live, live
from local.web.places import config_of

pytestmark = [pytest.mark.live, pytest.mark.needs("admin", "mail", "browser")]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def up(hanko: RealHanko) -> Iterator[Live]:
    """As `make live`."""
    with live(hanko.url, hanko.audience, int(variable("PAGE_PORT", str(PAGE_PORT)))) as up:
        yield up


@pytest.fixture(scope="module")
def chromium(up: Live) -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "Chromium is missing (Debian: apt-get install chromium)"
    arguments = ["--no-sandbox", f"--ignore-certificate-errors-spki-list={up.front.key_hash}"]  # root has no sandbox
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Visit(Tab):
    """The page with Hanko's form in its dialog."""

    states = "in|out"
    of_the_network = re.compile("Failed to load resource: ")

    def __init__(self, context: BrowserContext, url: str) -> None:
        super().__init__(context.new_page(), url)
        self.context = context
        self.devtools = context.new_cdp_session(self.page)

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.who).to_have_text("Nobody is signed in.")

    def get_authenticator(self) -> None:
        """From here on this tab has a virtual authenticator (WebAuthn domain of the Chrome DevTools Protocol)."""
        self.devtools.send("WebAuthn.enable")
        added = self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self._authenticator = added["authenticatorId"]

    def touch_authenticator(self, *, always: bool) -> None:
        """Whether the user touches it whenever the page asks, also where Hanko's form asks by itself (autofill)."""
        wanted = {"authenticatorId": self._authenticator, "enabled": always}
        self.devtools.send("WebAuthn.setAutomaticPresenceSimulation", wanted)

    def press(self, name: str) -> None:
        self.dialog.get_by_role("button", name=name, exact=True).click()

    def offers(self, name: str) -> Locator:
        """The button, once it is there."""
        button = self.dialog.get_by_role("button", name=name, exact=True)
        expect(button).to_be_visible()
        return button

    def begins(self, heading: str) -> None:
        """Wait until the first page of a flow is there to stay.

        Hanko's form draws it again 500 ms later, over whatever page is there by then, and what was pressed on it fails
        from then on. A timer that the page starts now runs out after that one, however slow the machine is.
        """
        expect(self.dialog.get_by_role("heading", name=heading, level=1)).to_be_visible()
        self.page.evaluate("new Promise((done) => setTimeout(done, 500))")

    def register(self, address: str, mails: Mails) -> None:
        """With a mailed passcode, a password and a passkey, in the order of Hanko's form."""
        self.begins("Sign in")
        self.press("Create account")
        self.begins("Create account")
        self.dialog.get_by_placeholder("Email").fill(address)
        self.press("Continue")
        self.offers("Send new code")
        self.dialog.locator("input").first.click()
        self.page.keyboard.type(mails.code_for(address))
        self.dialog.get_by_placeholder("New password").fill(PASSWORD)
        self.press("Continue")
        self.offers("Security key")
        self.press("Skip")
        self.offers("Create a passkey").click()
        self.comes_in()

    def sign_in_with_password(self, address: str) -> None:
        self.begins("Sign in")
        self.dialog.get_by_placeholder("Email").fill(address)
        self.press("Continue")
        self.offers("Password").click()
        self.dialog.get_by_placeholder("Password").fill(PASSWORD)
        self.press("Sign in")
        self.comes_in()

    def comes_in(self) -> None:
        """Wait until the dialog is closed, and the call that opened it has come again."""
        expect(self.dialog).to_be_hidden()
        expect(self.last).to_have_attribute("data-status", "200")

    def call_with_passkey(self, name: str, status: int) -> Locator:
        """Press the button. The call is refused, the authenticator signs in by itself, the call comes again: 200.

        Returns the refusal. Both may be there before the first look.
        """
        answers = self.page.locator("#answers > li")
        before = answers.count()
        self.page.get_by_role("button", name=name, exact=True).click()
        expect(answers).to_have_count(before + 2)
        expect(answers.nth(1)).to_have_attribute("data-status", str(status))
        self.comes_in()
        return answers.nth(1)

    @property
    def token(self) -> str:
        (token,) = [cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "hanko"]
        return token


@pytest.fixture
def visit(chromium: Browser, up: Live) -> Iterator[Visit]:
    """A new profile's page. Whatever happens in a test, its console stays clean."""
    context = chromium.new_context()
    visit = Visit(context, up.site.page).open()
    yield visit
    assert visit.errors == []
    context.close()


@pytest.fixture
def address() -> str:
    return f"user-{uuid.uuid4().hex[:12]}@example.com"


def test_register_call_sign_out_and_in_with_the_passkey(visit: Visit, address: str, mails: Mails) -> None:
    """The SDK puts the token of X-Auth-Token into a Lax cookie of the domain. A passkey made is in `amr`, as if used.

    Hanko's form asks for a passkey by itself, as soon as it is there: the second login needs no click.
    """
    visit.get_authenticator()
    visit.call("GET /me", 401)
    visit.register(address, mails)
    assert claims_of(visit.token)["amr"] == ["otp", "pwd", "passkey"]
    (cookie,) = [one for one in visit.context.cookies() if one["name"] == "hanko"]
    assert (cookie["domain"], cookie["sameSite"], cookie["httpOnly"]) == (".example.localhost", "Lax", False)
    visit.call("POST /payments", 200)
    expect(visit.call("GET /admin/x", 403)).to_contain_text("you may not do this")
    visit.page.get_by_label("REST, REQUEST", exact=True).check()
    visit.page.get_by_label("as the cookie").check()
    visit.call("GET /me", 200)
    visit.sign_out()
    visit.call_with_passkey("GET /me", 401)
    assert claims_of(visit.token)["amr"] == ["passkey"]


def test_a_password_is_too_weak_to_pay_and_a_passkey_is_not(visit: Visit, address: str, mails: Mails) -> None:
    """Step-up in one dialog: another login of the same user, another session."""
    visit.get_authenticator()
    visit.call("GET /me", 401)
    visit.register(address, mails)
    visit.sign_out()
    visit.touch_authenticator(always=False)
    visit.call("GET /me", 401)
    visit.sign_in_with_password(address)
    weak = claims_of(visit.token)
    assert weak["amr"] == ["pwd"]
    visit.touch_authenticator(always=True)
    expect(visit.call_with_passkey("POST /payments", 403)).to_contain_text("Reason: login_too_weak")
    strong = claims_of(visit.token)
    assert (strong["sub"], strong["amr"]) == (weak["sub"], ["passkey"])
    assert strong["session_id"] != weak["session_id"]


def test_the_sdk_signs_out_what_was_revoked(visit: Visit, address: str, mails: Mails, hanko: RealHanko) -> None:
    """The API without a session check lets the token through until `exp`; the page's next look at Hanko does not."""
    visit.get_authenticator()
    visit.call("GET /me", 401)
    visit.register(address, mails)
    assert hanko.revoke(visit.token) == 204
    visit.call("GET /me", 200)
    visit.open()
    expect(visit.who).to_have_text("Nobody is signed in.")


def test_session_storage(visit: Visit, address: str, mails: Mails, hanko: RealHanko, up: Live) -> None:
    """Hanko's form puts the token where the page looks for it, and no cookie is made."""
    config = {**config_of(up.site, hanko.url, "elements"), "tokenIn": "sessionStorage"}
    visit.context.route("**/config.json", lambda route: route.fulfill(json=config))
    visit.open()
    visit.get_authenticator()
    visit.call("GET /me", 401)
    visit.register(address, mails)
    visit.open()  # a reload keeps it
    visit.call("GET /me", 200)
    assert "hanko" not in [cookie["name"] for cookie in visit.context.cookies()]
    visit.sign_out()
    assert visit.page.evaluate("sessionStorage.getItem('hanko')") is None
