"""The tokens and the keys of a real Hanko, and what we make of them."""

import time
import uuid
from collections.abc import Callable

import pytest
from live.conftest import answer, reason
from live.real_hanko import PASSWORD, Flow, Mails, RealHanko, call, claims_of, header_of
from sandbox import MakeSandbox, Sandbox
from servers import becomes

from local.sign import event_with

pytestmark = [pytest.mark.live, pytest.mark.needs("admin")]
SESSION_CLAIMS = {"aud", "email", "exp", "iat", "session_id", "sub"}


@pytest.mark.needs("mail")
def test_whoever_registers_gets_in_at_once(hanko: RealHanko, mails: Mails, sandbox: Sandbox) -> None:
    """By a mailed passcode and a password; `amr` has both, and what a policy gets is right."""
    address = f"user-{uuid.uuid4().hex[:12]}@example.com"
    flow = Flow(hanko.url, "registration").act("register_login_identifier", email=address)
    flow.act("verify_passcode", code=mails.code_for(address))
    done = flow.act("register_password", new_password=PASSWORD).finish()
    given = sandbox.answer(event_with("rest_request", done.token))
    assert not isinstance(given, str)
    claims = claims_of(done.token)
    assert claims["amr"] == ["otp", "pwd"]
    context = {name: given["context"][name] for name in ("user_id", "session_id", "email", "email_verified", "amr")}
    assert context == {
        "user_id": claims["sub"],
        "session_id": claims["session_id"],
        "email": address,
        "email_verified": True,
        "amr": "otp pwd",
    }
    assert done.json["payload"]["user"]["user_id"] == claims["sub"]


def test_a_session_token_has_these_claims(hanko: RealHanko) -> None:
    """No `nbf`, no `jti`; `aud` is an array even with one audience; header and payload are sorted by name."""
    user = hanko.new_user()
    token = hanko.new_session(user)
    claims = claims_of(token)
    assert header_of(token) == {"alg": "RS256", "kid": header_of(token)["kid"], "typ": "JWT"}
    assert list(header_of(token)) == ["alg", "kid", "typ"]
    assert set(claims) >= SESSION_CLAIMS
    assert not {"nbf", "jti", "amr", "evt", "data"} & set(claims)
    assert list(claims) == sorted(claims)
    assert type(claims["aud"]) is list
    assert hanko.audience in claims["aud"]
    assert claims["email"] == {"address": user.address, "is_primary": True, "is_verified": True}
    assert (type(claims["iat"]), type(claims["exp"])) == (int, int)
    assert uuid.UUID(claims["session_id"]).version == 4
    assert claims["sub"] == user.user_id == str(uuid.UUID(claims["sub"]))


def test_a_password_login_says_so(hanko: RealHanko, sandbox: Sandbox) -> None:
    token = hanko.login(hanko.new_user(password=True))
    assert claims_of(token)["amr"] == ["pwd"]
    assert answer(sandbox, token) == "Allow"


def test_a_token_of_the_admin_api_has_no_amr_and_gets_in(hanko: RealHanko, sandbox: Sandbox) -> None:
    token = hanko.new_session(hanko.new_user())
    assert "amr" not in claims_of(token)
    assert answer(sandbox, token) == "Allow"


@pytest.mark.needs("mail")
def test_recovery_counts_as_a_password_login(hanko: RealHanko, mails: Mails, sandbox: Sandbox) -> None:
    """The mailed passcode is not in `amr`, and the sessions from before live on."""
    user = hanko.new_user(password=True)
    old = hanko.login(user)
    flow = hanko.offer_password(user).act("continue_to_passcode_confirmation_recovery")
    flow.act("verify_passcode", code=mails.code_for(user.address))
    new = flow.act("password_recovery", new_password=PASSWORD + "!").finish().token
    assert claims_of(new)["amr"] == ["pwd"]
    assert hanko.validate(old).json["is_valid"] is True
    assert [answer(sandbox, token) for token in (old, new)] == ["Allow", "Allow"]


def test_issued_at_is_cut_to_the_second(hanko: RealHanko) -> None:
    """`iat` is never after the true time, so that a token is never early by Hanko's own clock."""
    before = time.time()
    claims = claims_of(hanko.new_session(hanko.new_user()))
    assert int(before) <= claims["iat"] <= time.time()


def test_the_audience_decides(hanko: RealHanko, make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(audience="https://elsewhere.example.com")
    assert answer(sandbox, hanko.new_session(hanko.new_user())) == "Unauthorized"
    assert reason(sandbox) == "audience_not_allowed"


@pytest.mark.needs("template")
def test_a_user_whose_metadata_were_never_set_has_no_such_claims(hanko: RealHanko) -> None:
    """A template that reads them fails for that user, and Hanko leaves the claim out. Afterwards it is there.

    Needs the `jwt_template` of docs/real-hanko.md. A text that says true is a boolean, and `{…}` an object: what users
    write into their unsafe metadata has the type that they choose. A member that is not there is an empty text.
    """
    user = hanko.new_user()
    assert not {"plan", "theme"} & set(claims_of(hanko.new_session(user)))
    url = f"{hanko.admin_url}/users/{user.user_id}/metadata"
    call(url, {"public_metadata": {"plan": "gold"}, "unsafe_metadata": {"theme": "true"}}, method="PATCH")
    claims = claims_of(hanko.new_session(user))
    assert (claims["plan"], claims["theme"]) == ("gold", True)
    call(url, {"public_metadata": {"plan": None}}, method="PATCH")
    assert claims_of(hanko.new_session(user))["plan"] == ""
    call(url, {"unsafe_metadata": {"theme": '{"admin": 1}'}}, method="PATCH")
    assert claims_of(hanko.new_session(user))["theme"] == {"admin": 1}


def test_the_key_set(hanko: RealHanko) -> None:
    """`max-age=600`, nothing compressed, RSA-4096, and nothing in a key but what the signature needs."""
    answered = hanko.key_set
    assert answered.headers["Cache-Control"] == "max-age=600"
    assert answered.headers["Content-Encoding"] is None
    for key in answered.json["keys"]:
        assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}
        assert (key["alg"], key["e"], key["kty"], key["use"], len(key["n"])) == ("RS256", "AQAB", "RSA", "sig", 683)
    assert header_of(hanko.new_session(hanko.new_user()))["kid"] in [key["kid"] for key in answered.json["keys"]]


@pytest.mark.needs("rotation")
def test_a_new_key_signs_at_once_and_the_old_one_stays(
    hanko: RealHanko, make_sandbox: MakeSandbox, rotate: Callable[[], object]
) -> None:
    """Another secret and a restart. Sessions, and the tokens of the old key, live on; both keys let callers in."""
    sandbox, strict = make_sandbox(), make_sandbox(session_check="strict")
    old = hanko.new_session(hanko.new_user())
    assert (answer(sandbox, old), answer(strict, old)) == ("Allow", "Allow")
    before = [key["kid"] for key in hanko.key_set.json["keys"]]
    rotate()
    assert becomes(lambda: hanko.key_set.status == 200)
    after = [key["kid"] for key in hanko.key_set.json["keys"]]
    new = hanko.new_session(hanko.new_user())
    assert set(after) - set(before) == {header_of(new)["kid"]}
    assert set(before) < set(after)
    assert hanko.validate(old).json["is_valid"] is True
    assert [answer(one, token) for one in (sandbox, strict) for token in (old, new)] == ["Allow"] * 4
