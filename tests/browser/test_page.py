"""Every answer of the table in docs/frontend.md, as a user of examples/web/ meets it."""

import json
import os
import re
import time
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from tab import SITE, Recorded, Tab

from local.build import ROOT
from local.deployment import Deployment
from local.web.places import stand_in_config

PASSKEY, OLD, WEAK = "A reader, with a passkey", "A reader, with a passkey, an hour ago", "A reader, with a password"
API = f"api.{SITE.domain}"


def cookie_of(context: BrowserContext) -> str | None:
    values = [cookie["value"] for cookie in context.cookies() if cookie["name"] == "hanko"]
    assert len(values) <= 1
    return values[0] if values else None


def carry(context: BrowserContext, token: str) -> None:
    """Put the token where the SDK puts it."""
    context.add_cookies([{"name": "hanko", "value": token, "domain": f".{SITE.domain}", "path": "/", "secure": True}])


# --- the table


def test_the_way_of_the_bar(tab: Tab) -> None:
    """Sign in on a 401, see 200, 403, a step-up, 200, sign out, 401."""
    tab.call("GET /", 200)
    tab.call("GET /me", 401)
    tab.pick(OLD)
    expect(tab.last).to_have_attribute("data-status", "200")
    expect(tab.who).to_contain_text("Signed in as reader@example.com")
    expect(tab.call("GET /admin/x", 403)).to_contain_text("you may not do this")
    expect(tab.dialog).to_be_hidden()
    expect(tab.call("POST /payments", 403)).to_contain_text("Reason: login_too_old")
    tab.pick(PASSKEY)
    expect(tab.last).to_have_attribute("data-status", "200")
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.who).to_have_text("Nobody is signed in.")
    tab.call("GET /me", 401)


def test_a_weak_login_is_asked_for_a_passkey(tab: Tab) -> None:
    tab.sign_in(WEAK)
    expect(tab.call("POST /payments", 403)).to_contain_text("use a passkey")
    expect(tab.dialog).to_contain_text("This wants a stronger login")
    tab.pick(PASSKEY)
    expect(tab.last).to_have_attribute("data-status", "200")


def test_an_administrator_may(tab: Tab) -> None:
    tab.sign_in("An administrator, with a passkey")
    tab.call("GET /admin/x", 200)


def test_closing_the_dialog_gives_up(tab: Tab) -> None:
    tab.call("GET /me", 401)
    tab.give_up()
    expect(tab.page.locator("#answers > li")).to_have_count(1)


def test_a_session_that_ends_under_the_pages_hands(tab: Tab, context: BrowserContext, deployment: Deployment) -> None:
    """The page acts on our 401: the SDK has not noticed yet."""
    carry(context, deployment.hanko.mint(lifetime_seconds=20))
    tab.open()
    tab.choose("REST, REQUEST", "as the cookie")  # asked every time: no cached answer
    tab.call("GET /me", 200)
    deadline = time.monotonic() + 60
    while tab.dialog.is_hidden() and time.monotonic() < deadline:
        tab.page.get_by_role("button", name="GET /me", exact=True).click()
        expect(tab.dialog.or_(tab.last).first).to_be_visible()
        tab.page.wait_for_timeout(300)
    expect(tab.last).to_have_attribute("data-status", "401")
    assert cookie_of(context) is None
    tab.pick(PASSKEY)
    expect(tab.last).to_have_attribute("data-status", "200")


def test_a_new_login_that_does_not_help_is_not_asked_for_again(tab: Tab) -> None:
    """A token for another application: signed in at Hanko, unknown to the API."""
    person = "A reader of another application"
    tab.sign_in(person)
    tab.call("GET /me", 401)
    tab.pick(person)
    expect(tab.last).to_contain_text("A new login did not help")
    expect(tab.dialog).to_be_hidden()


def test_another_tab_signs_out(tab: Tab, context: BrowserContext) -> None:
    tab.sign_in()
    other = Tab(context.new_page()).open()
    expect(other.who).to_contain_text("Signed in as")
    other.page.get_by_role("button", name="Sign out").click()
    expect(tab.who).to_have_text("Nobody is signed in.")
    tab.call("GET /me", 401)
    assert other.errors == []


def test_hanko_is_down(tab: Tab, context: BrowserContext, deployment: Deployment) -> None:
    """A known key: allowed. An unknown one: nobody could find out, and nobody is asked to log in."""
    good = deployment.hanko.mint()
    unchecked = deployment.hanko.mint(header={"kid": str(uuid.uuid4())})
    carry(context, deployment.hanko.mint())
    tab.call("GET /me", 200)  # the authorizer has the keys
    carry(context, good)
    deployment.hanko.behave("down")
    try:
        tab.open()
        expect(tab.who).to_contain_text("Hanko cannot be asked")
        tab.call("GET /me", 200)
        carry(context, unchecked)
        expect(tab.call("GET /me", 500)).to_contain_text("could not find out. Your session is still good")
        expect(tab.dialog).to_be_hidden()
        assert cookie_of(context) == unchecked
        expect(tab.last.get_by_role("button", name="Try again")).to_be_visible()
        carry(context, good)
        tab.page.get_by_role("button", name="Sign out").click()
        expect(tab.who).to_contain_text("there the session lives on")
        assert cookie_of(context) is None
    finally:
        deployment.hanko.behave("normal")
        deployment.new_sandbox()  # it remembers the failure


def test_an_http_api_hides_the_reason(tab: Tab, context: BrowserContext, deployment: Deployment) -> None:
    """GET /me tells a rule from a session that is over."""
    tab.sign_in()
    tab.choose("HTTP API 2.0")
    expect(tab.call("GET /admin/x", 403)).to_contain_text("a rule refuses this")
    expect(tab.dialog).to_be_hidden()
    carry(context, deployment.hanko.mint(lifetime_seconds=-60))
    expect(tab.call("GET /admin/x", 403)).to_contain_text("does not accept your session")
    tab.pick("An administrator, with a passkey")
    expect(tab.last).to_have_attribute("data-status", "200")


# --- WebSocket


def test_a_websocket_takes_the_token_as_a_subprotocol(tab: Tab) -> None:
    tab.sign_in()
    expect(tab.call("WebSocket", 101)).to_contain_text("the API knows you")


def test_a_websocket_without_a_session(tab: Tab, context: BrowserContext, deployment: Deployment) -> None:
    tab.call("WebSocket", 401)
    tab.pick(PASSKEY)
    expect(tab.last).to_have_attribute("data-status", "101")
    carry(context, deployment.hanko.mint(lifetime_seconds=-60))
    expect(tab.call("WebSocket", 0)).to_contain_text("does not accept your session")
    tab.pick(PASSKEY)
    expect(tab.last).to_have_attribute("data-status", "101")


def test_a_websocket_that_a_rule_refuses(tab: Tab, context: BrowserContext, deployment: Deployment) -> None:
    """A session that an administrator made has no amr."""
    carry(context, deployment.hanko.mint(claims={"amr": None}))
    tab.open()
    expect(tab.call("WebSocket", 0)).to_contain_text("though your session is good")


# --- header and cookie, one origin and two


def test_the_header_travels_alone_behind_a_preflight_without_token(tab: Tab, recorded: Recorded) -> None:
    tab.sign_in()
    tab.call("GET /me", 200)
    preflight, call = recorded.to(f"{API}/rest-token")
    assert (preflight.method, call.method) == ("OPTIONS", "GET")
    assert preflight.headers["Access-Control-Request-Headers"] == "authorization"
    assert (preflight.headers["Authorization"], preflight.headers["Cookie"], call.headers["Cookie"]) == (None,) * 3
    assert call.headers["Authorization"].startswith("Bearer ey")


def test_the_cookie_goes_to_the_site_and_to_no_other(tab: Tab, recorded: Recorded) -> None:
    tab.sign_in()
    tab.choose("REST, REQUEST", "as the cookie")
    tab.call("GET /me", 200)
    (call,) = recorded.to(f"{API}/rest-request")  # no preflight: nothing about it is unusual
    assert call.headers["Cookie"].startswith("hanko=ey")
    assert call.headers["Authorization"] is None
    tab.choose("REST, REQUEST, below the page", "as the cookie")
    tab.call("GET /me", 200)
    tab.choose("REST, REQUEST, on another site", "as the cookie")
    tab.call("GET /me", 401)
    (call,) = recorded.to(f"api.{SITE.elsewhere}")
    assert call.headers["Cookie"] is None


def test_another_site_takes_the_header(tab: Tab) -> None:
    tab.sign_in()
    tab.choose("REST, REQUEST, on another site")
    tab.call("GET /me", 200)


def test_the_cookie_alone_changes_nothing(tab: Tab) -> None:
    """A foreign page's POST would bring it, too: the examples let it lead to GET /web/me alone."""
    tab.sign_in()
    tab.choose("REST, REQUEST", "as the cookie")
    expect(tab.call("POST /payments", 401)).to_contain_text("Send the header")
    expect(tab.dialog).to_be_hidden()


@pytest.mark.parametrize("path", ["/rest-token/me", "/rest-request/me", "/rest-request/web/me", "/http-api/me"])
def test_a_page_of_another_origin_may_read_nothing(tab: Tab, path: str) -> None:
    """Whether it is allowed or refused: there are CORS headers for one origin."""
    page = tab.page
    page.goto(SITE.url(f"api.{SITE.elsewhere}") + "/rest-request/")
    url = SITE.url(API) + path
    script = "url => fetch(url, {credentials: 'include'}).then(found => found.status, () => 'nothing')"
    assert page.evaluate(script, url) == "nothing"
    tab.errors.clear()  # Chromium says that CORS refused it


# --- where the token is


def test_no_call_ever_says_bearer_undefined(tab: Tab, recorded: Recorded) -> None:
    for api in ("REST, TOKEN", "REST, REQUEST", "HTTP API 2.0"):
        tab.choose(api)
        tab.call("GET /me", 401)
        tab.give_up()
    sent = [request.headers["Authorization"] for _, request in recorded.requests]
    assert set(sent) == {None}


def test_session_storage(tab: Tab, context: BrowserContext, recorded: Recorded) -> None:
    """The same page with `tokenIn: "sessionStorage"`: no cookie, and each tab has a session of its own."""
    config = {**stand_in_config(SITE), "tokenIn": "sessionStorage"}
    context.route("**/config.json", lambda route: route.fulfill(json=config))
    tab.open()
    tab.sign_in()
    tab.call("GET /me", 200)
    tab.open()  # a reload keeps it
    expect(tab.who).to_contain_text("Signed in as")
    tab.call("GET /me", 200)
    assert context.cookies() == []
    other = Tab(context.new_page()).open()
    expect(other.who).to_have_text("Nobody is signed in.")
    tab.page.get_by_role("button", name="Sign out").click()
    tab.call("GET /me", 401)
    sent = [request.headers["Authorization"] or "Bearer ey" for _, request in recorded.requests]
    assert all(value.startswith("Bearer ey") for value in sent)


def test_the_sdk_makes_the_cookie_that_the_page_describes(tab: Tab, context: BrowserContext) -> None:
    tab.sign_in()
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["domain"], cookie["path"]) == ("hanko", f".{SITE.domain}", "/")
    assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("Lax", True, False)


def test_signing_out_removes_the_cookie_that_the_sdk_leaves(tab: Tab, context: BrowserContext) -> None:
    tab.sign_in()
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.who).to_have_text("Nobody is signed in.")
    assert context.cookies() == []


# --- looks


STATES = {"web-answers": 760, "web-step-up": 760, "web-phone": 360}


def arrange(tab: Tab, state: str) -> None:
    """Bring the page into a state, and let the picture hold still."""
    tab.page.set_viewport_size({"width": STATES[state], "height": 720})
    if state == "web-phone":
        tab.page.emulate_media(color_scheme="dark")
        tab.call("GET /me", 401)
    else:
        tab.sign_in(OLD)
        tab.call("GET /me", 200)
        tab.call("GET /admin/x", 403)
        tab.call("POST /payments", 403)
        if state == "web-answers":
            tab.pick(PASSKEY)
            expect(tab.last).to_have_attribute("data-status", "200")
    if state != "web-answers":
        expect(tab.page.frame_locator("iframe").get_by_role("button", name=PASSKEY, exact=True)).to_be_visible()
    tab.page.evaluate("document.activeElement.blur()")


@pytest.mark.parametrize("state", STATES)
def test_nobody_is_kept_out(tab: Tab, axe: str, state: str, tmp_path: Path) -> None:
    """No error of axe-core, no sideways scrolling. PICTURES=docs makes the pictures of docs/frontend.md anew."""
    arrange(tab, state)
    tab.page.screenshot(path=Path(os.environ.get("PICTURES", tmp_path)) / f"{state}.png")
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        tab.page.evaluate(axe)
        violations = tab.page.evaluate("axe.run().then(found => found.violations)")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= STATES[state]


def test_everything_can_be_done_by_keyboard(tab: Tab) -> None:
    keyboard, focused = tab.page.keyboard, "document.activeElement.textContent || document.activeElement.value"
    reached = []
    for _ in range(9):
        keyboard.press("Tab")
        reached.append(tab.page.evaluate(focused))
    assert reached == [
        *("Sign in", "0", "header"),  # within a group of radio buttons the arrows move
        *("GET /", "GET /me", "GET /admin/x", "POST /payments", "WebSocket"),
        reached[-1],
    ]
    tab.page.get_by_role("button", name="GET /me", exact=True).focus()
    keyboard.press("Enter")
    tab.page.frame_locator("iframe").get_by_role("button", name=PASSKEY, exact=True).focus()
    keyboard.press("Enter")
    expect(tab.last).to_have_attribute("data-status", "200")
    assert tab.page.evaluate(focused) == "GET /me"  # where the user was


def test_the_page_loads_hankos_form_only_when_it_is_needed(tab: Tab, context: BrowserContext) -> None:
    loaded: list[str] = []
    context.on("request", lambda request: loaded.append(request.url))
    tab.open()
    assert not any("elements" in url for url in loaded)


def test_our_own_code_is_light() -> None:
    web = ROOT / "examples" / "web"
    own = [web / "index.html", *(web / "src").iterdir(), *(web / "public").iterdir()]
    assert sum(file.stat().st_size for file in own) < 30_000


def test_packages_are_pinned_and_their_lock_has_hashes_and_no_addresses() -> None:
    web = ROOT / "examples" / "web"
    manifest = json.loads((web / "package.json").read_text())
    versions = [*manifest["dependencies"].values(), *manifest["devDependencies"].values()]
    assert [version for version in versions if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    packages = json.loads((web / "package-lock.json").read_text())["packages"]
    packages.pop("")
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert "://" not in (web / "package-lock.json").read_text()
