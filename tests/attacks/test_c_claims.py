"""C: claims of a session that is not ours, not now, or not whole."""

import pytest
from attacks.forging import allow, allowed, fail, forge, refuse
from sandbox import CONTEXT, NOW, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.config import Settings
from authorizer.errors import Misconfigured
from local.hanko import StandInHanko
from local.sign import event_with

NEAR_MISSES: dict[str, tuple[Json, str]] = {
    "another_audience": ({"aud": ["other.example.com"]}, "audience_not_allowed"),
    "another_issuer": ({"iss": "https://other.example.com"}, "issuer_not_allowed"),
    "no_user": ({"sub": "hanko webhooks"}, "not_a_session"),
    "no_session": ({"session_id": "none"}, "not_a_session"),
    "an_event": ({"evt": "user.update"}, "not_a_session"),
    "data": ({"data": {"id": USER}}, "not_a_session"),
    "expired": ({"iat": NOW - 43_211, "exp": NOW - 11}, "token_expired"),
    "issued_tomorrow": ({"iat": NOW + 86_400, "exp": NOW + 86_500}, "token_not_yet_valid"),
    "not_before_tomorrow": ({"nbf": NOW + 43_000}, "token_not_yet_valid"),
    "lives_too_long": ({"exp": NOW + 86_401}, "token_lifetime_too_long"),
}


@pytest.mark.parametrize(("claims", "reason"), NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_every_near_miss_of_a_session(
    claims: Json, reason: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """C1 to C7: a session token with one wrong claim is refused for that claim."""
    sandbox = make_sandbox(issuer="https://hanko.example.com", max_token_lifetime_seconds="86400")
    genuine = {"iss": "https://hanko.example.com"}
    assert allow(sandbox, forge(hanko, claims=genuine)) == CONTEXT
    refuse(sandbox, forge(hanko, claims={**genuine, **claims}), reason)


@pytest.mark.parametrize("claim", ["sub", "aud", "iat", "exp", "session_id", "iss"])
def test_every_claim_that_a_session_cannot_do_without(
    claim: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """C1, C3 to C7: a session token without one of these claims is refused."""
    sandbox = make_sandbox(issuer="https://hanko.example.com")
    reason = {"iss": "issuer_not_allowed", "sub": "not_a_session", "session_id": "not_a_session"}
    token = forge(hanko, claims={"iss": "https://hanko.example.com"}, without=claim)
    refuse(sandbox, token, reason.get(claim, "claims_malformed"))


AUDIENCES: dict[str, tuple[object, str]] = {
    "null": (None, "claims_malformed"),
    "number": (1, "claims_malformed"),
    "true": (True, "claims_malformed"),
    "object": ({"localhost": True}, "claims_malformed"),
    "number_beside_it": (["localhost", 1], "claims_malformed"),
    "null_beside_it": (["localhost", None], "claims_malformed"),
    "list_in_a_list": ([["localhost"]], "claims_malformed"),
    **{
        repr(audience): (audience, "audience_not_allowed")
        for audience in (
            *([], "", [""], "LOCALHOST", "localhos", "localhost ", " localhost", "localhost\n", "localhost\0", "*"),
            *("localhost.example.com", "not-localhost", "localhost,example.com", "http://localhost", "localhost/"),
            *("localhost.", ["other.example.com"], "ｌocalhost"),  # noqa: RUF001 - a look-alike on purpose
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("audience", "reason"), AUDIENCES.values(), ids=AUDIENCES)
def test_c1_an_audience_that_is_not_exactly_ours(
    audience: object, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """C1: RFC 8725 3.9. No prefix, no case folding, no normalising."""
    refuse(sandbox, forge(hanko, claims={"aud": audience}), reason)


@pytest.mark.parametrize("audience", ["", " ", ",", "localhost,", ",localhost", "localhost,,example.com", "\t"])
def test_c2_no_audience_never_means_any(audience: str) -> None:
    """C2: a blank audience stops the start."""
    with pytest.raises(Misconfigured, match="HANKO_AUDIENCE"):
        Settings.from_env({"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": audience})


NO_TIMES: list[object] = [
    *(None, True, False, "", "1800043200", " 1800043200\n", "9_999_999_999", "1e12", "１８０００４３２００", [], {}),  # noqa: RUF001 - look-alikes on purpose
    *([1_800_043_200], -1, -1.5, 1e300, 10**39, 4_102_444_801, 1_800_043_200_000, -0.1),
]  # fmt: skip


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", NO_TIMES, ids=ascii)
def test_c3_c4_a_time_that_is_none(claim: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """C3, C4: numbers of seconds of this century; no text, no boolean, no milliseconds."""
    refuse(sandbox, forge(hanko, claims={claim: value}), "claims_malformed")


TIMES: dict[str, tuple[Json, str]] = {
    "expired_a_second_ago": ({"iat": NOW - 99, "exp": NOW - 11}, "token_expired"),
    "expired_just_now": ({"iat": NOW - 99, "exp": NOW - 10}, "token_expired"),
    "expired_a_fraction_ago": ({"iat": NOW - 99, "exp": NOW - 10.001}, "token_expired"),
    "expired_in_1970": ({"iat": 0, "exp": 1}, "token_expired"),
    "issued_in_the_future": ({"iat": NOW + 71}, "token_not_yet_valid"),
    "issued_after_it_expires": ({"iat": NOW + 5, "exp": NOW + 4}, "claims_malformed"),
    "not_yet": ({"nbf": NOW + 70.001}, "token_not_yet_valid"),
    "not_before_it_expires": ({"nbf": NOW + 43_201}, "claims_malformed"),
}


@pytest.mark.parametrize(("claims", "reason"), TIMES.values(), ids=TIMES)
def test_c3_c4_a_token_out_of_its_time(claims: Json, reason: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """C3, C4: expired, not yet valid, or issued in the future, beyond the clock skew."""
    refuse(sandbox, forge(hanko, claims=claims), reason)


@pytest.mark.parametrize("shape", ["rest_token", "rest_request", "http_v1", "http_v2", "websocket", "appsync"])
def test_c3_a_token_that_begins_within_a_minute_gets_no_answer_that_is_cached(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """C3: Hanko's clock is ahead. A cached 403 would last for 300 s, a 401 would ask for a login that fails, too."""
    sandbox = make_sandbox()
    token = forge(hanko, claims={"iat": NOW + 30})
    fail(sandbox, token, "token_early", shape)
    time_.advance(20)
    assert allowed(sandbox.answer(event_with(shape, token)))


def test_c3_a_token_of_a_warm_sandbox_expires(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    """C3: an earlier acceptance is not remembered."""
    token = forge(hanko, claims={"exp": NOW + 60})
    allow(sandbox, token)
    time_.advance(70)
    refuse(sandbox, token, "token_expired")


NO_UUIDS: dict[str, object] = {
    "null": None,
    "empty": "",
    "webhooks": "hanko webhooks",
    "email": "user@example.com",
    "upper_case": USER.upper(),
    "nil": "00000000-0000-0000-0000-000000000000",
    "newline_behind": f"{USER}\n",
    "space_in_front": f" {USER}",
    "nul_behind": f"{USER}\0",
    "braces": f"{{{USER}}}",
    "urn": f"urn:uuid:{USER}",
    "no_hyphens": USER.replace("-", ""),
    "hyphens_elsewhere": "0b6f3e0a6-f0e-4b0c-9a55-6d3c7c1f2a01",
    "wide_digits": USER.replace("0", "０"),  # noqa: RUF001 - look-alikes on purpose
    "no_hexadecimal": USER.replace("0b", "0g"),
    "too_short": USER[:-1],
    "too_long": USER + "0",
    "two": f"{USER},{USER}",
    "wildcard": "*",
    "list": [USER],
    "object": {"id": USER},
    "number": 1,
    "true": True,
}


@pytest.mark.parametrize("claim", ["sub", "session_id"])
@pytest.mark.parametrize("value", NO_UUIDS.values(), ids=NO_UUIDS)
def test_c5_c6_c8_an_id_that_is_none(claim: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """C5, C6, C8, R7: `sub` becomes principalId, and both ids keep out tokens that are no sessions."""
    refuse(sandbox, forge(hanko, claims={claim: value}), "not_a_session")


ISSUERS: list[object] = [
    *(None, "", "https", "https://hanko.example.co", "hanko.example.com", "https://hanko.example.com/"),
    *("https://hanko.example.com.attacker.example.com", "HTTPS://HANKO.EXAMPLE.COM", "https://hanko.example.com\n"),
    *(["https://hanko.example.com"], {"https://hanko.example.com": 1}, True, 0),
]  # fmt: skip


@pytest.mark.parametrize("issuer", ISSUERS, ids=repr)
def test_c7_an_issuer_that_is_not_exactly_ours(issuer: object, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """C7: CVE-2024-53861, where a part of the issuer was enough."""
    sandbox = make_sandbox(issuer="https://hanko.example.com")
    refuse(sandbox, forge(hanko, claims={"iss": issuer}), "issuer_not_allowed")
