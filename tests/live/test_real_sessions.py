"""What a real Hanko says about a session, and how ours end with it."""

import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from live.conftest import answer, reason
from live.real_hanko import RealHanko, Webhooks, bearer, call, claims_of
from sandbox import MakeSandbox
from servers import becomes

pytestmark = [pytest.mark.live, pytest.mark.needs("admin")]


def test_what_it_says_of_a_live_session(hanko: RealHanko) -> None:
    """Both ways say the same; times have whole seconds; claims of the template stand beside Hanko's."""
    token = hanko.new_session(hanko.new_user())
    claims = claims_of(token)
    for answered in (hanko.validate(token), hanko.touch(token)):
        assert answered.status == 200
        assert answered.headers["Cache-Control"] is None
        said = answered.json
        assert said["is_valid"] is True
        assert said["user_id"] == said["claims"]["subject"] == claims["sub"]
        assert said["claims"]["session_id"] == claims["session_id"]
        assert said["claims"]["audience"] == claims["aud"]
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(claims["exp"]))
        assert said["expiration_time"] == said["claims"]["expiration"] == expiration


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_a_session_check_lets_a_live_session_pass(hanko: RealHanko, make_sandbox: MakeSandbox, mode: str) -> None:
    sandbox, token = make_sandbox(session_check=mode), hanko.new_session(hanko.new_user())
    assert [answer(sandbox, token) for _ in range(3)] == ["Allow"] * 3
    asked = [record.get("SessionChecks", 0) for record in sandbox.records()]
    assert asked == ([1, 1, 1] if mode == "strict" else [1, 0, 0])


@pytest.mark.parametrize("mode", ["strict", "hybrid", "touch"])
def test_a_logout_ends_it(hanko: RealHanko, make_sandbox: MakeSandbox, mode: str) -> None:
    """Without a check the token works on. A logout clears the cookie; a second one is a 401 and clears nothing."""
    settings = {"session_check": "strict", "session_touch": "true"} if mode == "touch" else {"session_check": mode}
    if mode == "hybrid":
        settings["session_max_age_seconds"] = "5"
    sandbox, unchecked = make_sandbox(**settings), make_sandbox()
    token = hanko.new_session(hanko.new_user())
    assert answer(sandbox, token) == "Allow"
    first, second = hanko.logout(token), hanko.logout(token)
    assert (first.status, second.status) == (204, 401)
    assert "Max-Age=0" in first.headers["Set-Cookie"]
    assert second.headers["Set-Cookie"] is None
    if mode == "hybrid":
        time.sleep(5.1)
    assert answer(sandbox, token) == "Unauthorized"
    assert reason(sandbox) == "session_ended"
    assert answer(unchecked, token) == "Allow"


def test_a_revocation_ends_it(hanko: RealHanko, make_sandbox: MakeSandbox) -> None:
    sandbox, token = make_sandbox(session_check="strict"), hanko.new_session(hanko.new_user())
    assert answer(sandbox, token) == "Allow"
    assert hanko.revoke(token) == 204
    assert answer(sandbox, token) == "Unauthorized"


def test_a_deleted_users_sessions_are_over(hanko: RealHanko, make_sandbox: MakeSandbox) -> None:
    """All of them at once, by the database's cascade."""
    sandbox, user = make_sandbox(session_check="strict"), hanko.new_user()
    tokens = [hanko.new_session(user) for _ in range(2)]
    assert hanko.delete(user.user_id) == 204
    assert [hanko.validate(token).json for token in tokens] == [{"is_valid": False}] * 2
    assert [answer(sandbox, token) for token in tokens] == ["Unauthorized"] * 2


def test_beyond_five_sessions_the_oldest_ends(hanko: RealHanko) -> None:
    """`session.limit`, 5 by default: the sixth login ends the first, also one by the admin API."""
    user = hanko.new_user()
    tokens = [hanko.new_session(user) for _ in range(6)]
    assert [hanko.validate(token).json["is_valid"] for token in tokens] == [False] + [True] * 5


def test_a_password_changed_by_the_admin_api_ends_no_session(hanko: RealHanko) -> None:
    user = hanko.new_user(password=True)
    token = hanko.new_session(user)
    changed = call(f"{hanko.admin_url}/users/{user.user_id}/password", {"password": "another one"}, method="PUT")
    assert changed.status == 200
    assert hanko.validate(token).json["is_valid"] is True


@pytest.mark.needs("idle", "webhooks")
def test_an_idle_session_ends_and_only_use_keeps_it(
    hanko: RealHanko, make_sandbox: MakeSandbox, webhooks: Webhooks
) -> None:
    """GET does not count as use, POST does, and so does /me. The end comes with the first question after it."""
    idle, kept = (hanko.new_session(hanko.new_user()) for _ in range(2))
    watching, touching = (
        make_sandbox(session_check="strict"),
        make_sandbox(session_check="strict", session_touch="true"),
    )
    began = time.monotonic()
    said = hanko.validate(idle).json
    assert "idle_expires_at" in said, "set session.idle_timeout, or WITHOUT=idle"
    seconds = _seconds_of(said["idle_expires_at"]) - claims_of(idle)["iat"]
    while time.monotonic() - began < seconds + 1:
        assert answer(touching, kept) == "Allow"
        assert answer(watching, idle) == "Allow" or time.monotonic() - began > seconds - 2
        time.sleep(seconds / 10)
    assert (answer(watching, idle), answer(touching, kept)) == ("Unauthorized", "Allow")
    webhooks.wait("session.delete.passive.expire", claims_of(idle)["session_id"])
    assert hanko.validate(kept).json["idle_expires_at"] > said["idle_expires_at"]
    assert call(f"{hanko.url}/me", headers=bearer(idle)).status == 401


@pytest.mark.needs("database")
def test_without_its_database_it_calls_every_session_over(
    hanko: RealHanko, make_sandbox: MakeSandbox, no_database: Callable[[], AbstractContextManager[None]]
) -> None:
    """A 200, "not valid", both ways, and a 401 of /me: it found no key to verify with. Its key set is a 500.

    For us that is an outage. Sessions that nobody asks about go on.
    """
    unchecked, sandbox, token = (
        make_sandbox(),
        make_sandbox(session_check="strict"),
        hanko.new_session(hanko.new_user()),
    )
    assert [answer(one, token) for one in (unchecked, sandbox)] == ["Allow"] * 2
    with no_database():
        assert [ask(token)[::2] for ask in (hanko.validate, hanko.touch)] == [(200, b'{"is_valid":false}\n')] * 2
        assert call(f"{hanko.url}/me", headers=bearer(token)).status == 401
        assert hanko.key_set.status == 500
        assert answer(sandbox, token) == "Authorizer unavailable"
        assert reason(sandbox) == "session_unchecked"
        assert answer(unchecked, token) == "Allow"
    assert becomes(lambda: hanko.key_set.status == 200)
    time.sleep(1)
    assert answer(sandbox, token) == "Allow"


@pytest.mark.parametrize("token", ["x", "a.b.c", ""], ids=["no-jwt", "three-parts", "none"])
def test_what_is_no_token_is_not_valid(hanko: RealHanko, token: str) -> None:
    """Over GET a 200 whatever comes; over POST a 400 if there is none."""
    assert hanko.validate(token).json == {"is_valid": False}
    touched = hanko.touch(token)
    assert (touched.status, touched.json) == (
        (200, {"is_valid": False})
        if token
        else (400, {"code": 400, "message": "code=400, message=session_token is a required field"})
    )


def test_the_first_good_credential_counts(hanko: RealHanko) -> None:
    """The header before the cookie, then every cookie of the name; the scheme in any case; a quoted cookie, too."""
    token = hanko.new_session(hanko.new_user())
    for headers in (
        {"Authorization": f"bearer {token}"},
        {"Authorization": f"Bearer  {token}"},
        {"Authorization": "Bearer undefined", "Cookie": f"hanko={token}"},
        {"Cookie": f"hanko=x; hanko={token}"},
        {"Cookie": f'hanko="{token}"'},
    ):
        assert call(f"{hanko.url}/sessions/validate", headers=headers).json["is_valid"] is True
        assert call(f"{hanko.url}/me", headers=headers).status == 200


def test_a_session_that_hanko_never_made_is_not_valid(hanko: RealHanko) -> None:
    assert hanko.validate(str(uuid.uuid4())).json == {"is_valid": False}


def _seconds_of(rfc3339: str) -> float:
    """Since the epoch, cut to the second."""
    return time.mktime(time.strptime(rfc3339[:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone
