"""Channels of AppSync Events: what rules name, what clients ask for, and an independent matcher beside ours."""

import re
from itertools import product
from random import Random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from authorizer.errors import Misconfigured, Reason
from authorizer.model import Claims, CredentialSources, EventKind, Request, RulesResult
from authorizer.rules.channels import parse_asked, parse_pattern
from authorizer.rules.parser import parse_rules

ME, OTHER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01", "11111111-2222-4333-8444-555555555555"
NOW = 1_800_000_000


def claims(**payload: object) -> Claims:
    return Claims(ME, "5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f", NOW, NOW + 3600, {"sub": ME, **payload})


def request(asked: str) -> Request:
    operation, _, channel = asked.partition(" ")
    return Request(EventKind.APPSYNC_EVENTS, CredentialSources(), "api", "", "", operation, "", channel)


def evaluated(rules: str, asked: str, **payload: object) -> RulesResult:
    return parse_rules(rules).evaluate(request(asked), claims(**payload), NOW)


def reason(rules: str, asked: str, **payload: object) -> Reason:
    return evaluated(rules, asked, **payload).reason


INBOXES = """
default = "deny"
[[rule]]
name = "everybody"
channels = ["CONNECT", "SUBSCRIBE /inbox/{user_id}/*", "PUBLISH /chat/*", "SUBSCRIBE /teams/{teams}"]
[[rule]]
name = "administrators"
channels = ["SUBSCRIBE /inbox/*", "PUBLISH /news"]
require = { role = "admin" }
"""


@pytest.mark.parametrize(
    ("asked", "user", "admin"),
    [
        ("CONNECT", True, True),
        (f"SUBSCRIBE /inbox/{ME}/*", False, True),
        ("PUBLISH /chat/lobby", True, True),
        ("PUBLISH /chat/lobby/1/2/3", True, True),
        ("PUBLISH chat/lobby/", True, True),
        ("PUBLISH /chat", False, False),
        ("PUBLISH /chat/*", False, False),
        ("SUBSCRIBE /chat/lobby", False, False),
        ("PUBLISH /news", False, True),
        ("PUBLISH /news/today", False, False),
        ("SUBSCRIBE /teams/red", True, True),
        ("SUBSCRIBE /teams/blue", True, True),
        ("SUBSCRIBE /teams/green", False, False),
        ("SUBSCRIBE /teams/*", False, False),
        ("SUBSCRIBE /teams/red/*", False, False),
        ("SUBSCRIBE /*", False, False),
    ],
)
def test_what_a_denying_set_grants(asked: str, user: bool, admin: bool) -> None:  # noqa: FBT001 - a table
    """The inboxes are guarded by the administrators' rule as well, so that a user has none here."""
    assert (reason(INBOXES, asked, teams=["red", "blue"]) is Reason.ALLOWED) is user
    assert (reason(INBOXES, asked, teams=["red", "blue"], role="admin") is Reason.ALLOWED) is admin


OWN_INBOX = """
default = "deny"
[[rule]]
name = "own inbox"
channels = ["SUBSCRIBE /inbox/{user_id}/*"]
"""


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (f"SUBSCRIBE /inbox/{ME}/*", True),
        (f"SUBSCRIBE /inbox/{ME}/mail", True),
        (f"SUBSCRIBE inbox/{ME}/mail/today/*", True),
        (f"SUBSCRIBE /inbox/{ME}", False),
        (f"SUBSCRIBE /inbox/{OTHER}/*", False),
        (f"SUBSCRIBE /inbox/{OTHER}/mail", False),
        ("SUBSCRIBE /inbox/*", False),
        ("SUBSCRIBE /*", False),
        (f"SUBSCRIBE /inbox/{ME.upper()}/*", False),
        ("SUBSCRIBE /inbox/{user_id}/*", False),
        (f"SUBSCRIBE //inbox/{ME}/*", False),
        (f"SUBSCRIBE /inbox//{ME}/*", False),
        (f"SUBSCRIBE /inbox/*/{ME}", False),
        (f"SUBSCRIBE /inbox/{ME}/**", False),
        (f"SUBSCRIBE /inbox/{ME}/../{OTHER}/x", False),
        (f"SUBSCRIBE /inbox/{ME}/%2e", False),
        (f"SUBSCRIBE /inbox/{ME}/x\n", False),
        ("SUBSCRIBE ", False),
        ("SUBSCRIBE /", False),
        (f"PUBLISH /inbox/{ME}/mail", False),
        ("CONNECT", False),
    ],
)
def test_an_inbox_belongs_to_its_user(asked: str, granted: bool) -> None:  # noqa: FBT001 - a table
    expected = Reason.ALLOWED if granted else Reason.NO_RULE_GRANTS
    assert reason(OWN_INBOX, asked) is expected


@pytest.mark.parametrize(
    ("claim", "granted"),
    [
        ("red", True),
        (["blue", "red"], True),
        ("", False),
        (None, False),
        ("RED", False),
        (["blue"], False),
        ("*", False),
        ({"red": "red"}, False),
        (7, False),
        (True, False),
    ],
)
def test_a_segment_is_the_claim_or_one_of_its_items(claim: object, granted: bool) -> None:  # noqa: FBT001 - a table
    rules = 'default = "deny"\n[[rule]]\nname = "team"\nchannels = ["SUBSCRIBE /{meta.team}/x"]'
    assert (reason(rules, "SUBSCRIBE /red/x", meta={"team": claim}) is Reason.ALLOWED) is granted


def test_a_number_in_a_claim_is_no_segment() -> None:
    rules = 'default = "deny"\n[[rule]]\nname = "team"\nchannels = ["SUBSCRIBE /{team}"]'
    assert reason(rules, "SUBSCRIBE /7", team=7) is Reason.NO_RULE_GRANTS
    assert reason(rules, "SUBSCRIBE /7", team="7") is Reason.ALLOWED


GUARDED = """
default = "allow"
[[rule]]
name = "own inbox"
channels = ["SUBSCRIBE /inbox/{user_id}/*", "SUBSCRIBE /inbox/public/*"]
[[rule]]
name = "only people with a passkey publish"
channels = ["PUBLISH /chat/*"]
require = { amr = "passkey" }
"""


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ("CONNECT", ""),
        ("SUBSCRIBE /chat/*", ""),
        (f"SUBSCRIBE /inbox/{ME}/*", ""),
        ("SUBSCRIBE /inbox/public/news", ""),
        ("SUBSCRIBE /inbox", ""),
        ("SUBSCRIBE /inbox/*", "own inbox"),
        ("SUBSCRIBE /*", "own inbox"),
        (f"SUBSCRIBE /inbox/{OTHER}/*", "own inbox"),
        (f"SUBSCRIBE /inbox/{OTHER}/mail", "own inbox"),
        ("SUBSCRIBE /inbox/*/x", "only people with a passkey publish"),
        (f"SUBSCRIBE /Inbox/{OTHER}/mail", "own inbox"),
        (f"SUBSCRIBE /INBOX/{OTHER}/*", "own inbox"),
        (f"SUBSCRIBE /INBOX/{ME}/*", ""),
        (f"SUBSCRIBE /inbox/{ME.upper()}/*", "own inbox"),
        ("PUBLISH /Chat/lobby", "only people with a passkey publish"),
        ("PUBLISH /chat/lobby", "only people with a passkey publish"),
        ("PUBLISH /chat", ""),
    ],
)
def test_what_an_allowing_set_refuses(asked: str, rule: str) -> None:
    """What no rule names is allowed. What cannot be a channel is refused by the first rule that is not met."""
    verdict = evaluated(GUARDED, asked, amr=["pwd"])
    assert (verdict.reason is Reason.ALLOWED, verdict.rule) == (not rule, rule)


def test_what_cannot_be_a_channel_is_refused_whoever_asks() -> None:
    verdict = evaluated(GUARDED, "SUBSCRIBE /inbox/*/x", amr=["passkey"])
    assert (verdict.reason, verdict.rule) == (Reason.RULE_NOT_MET, "own inbox")


def test_rules_about_other_kinds_say_nothing_about_channels() -> None:
    rules = 'default = "allow"\n[[rule]]\nname = "a"\nroutes = ["* /*"]\nfields = ["Query.x"]\nrequire = {role = "a"}'
    assert reason(rules, "PUBLISH /chat/lobby") is Reason.ALLOWED


def test_a_login_that_is_young_enough_passes_for_this_one_question() -> None:
    rules = OWN_INBOX + "max_age_seconds = 300"
    verdict = parse_rules(rules).evaluate(request(f"SUBSCRIBE /inbox/{ME}/*"), claims(), NOW + 100)
    assert (verdict.reason, verdict.seconds_left) == (Reason.ALLOWED, 0)
    verdict = parse_rules(rules).evaluate(request(f"SUBSCRIBE /inbox/{ME}/*"), claims(), NOW + 301)
    assert (verdict.reason, verdict.rule) == (Reason.LOGIN_TOO_OLD, "own inbox")


@pytest.mark.parametrize("segment", ["x", "xy", "x-y", "x" * 50])
def test_a_segment_has_up_to_50_characters(segment: str) -> None:
    rules = f'default = "deny"\n[[rule]]\nname = "a"\nchannels = ["CONNECT", "PUBLISH /{segment}"]'
    assert reason(rules, f"PUBLISH /{segment}") is Reason.ALLOWED


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "connect",
        "CONNECT /x",
        "SUBSCRIBE",
        "SUBSCRIBE ",
        "SUBSCRIBE /",
        "SUBSCRIBE chat",
        "SUBSCRIBE /chat/",
        "SUBSCRIBE  /chat",
        "SUBSCRIBE /*/x",
        "SUBSCRIBE /chat/x*",
        "SUBSCRIBE /chat//x",
        "SUBSCRIBE /-chat",
        "SUBSCRIBE /chat_1",
        "SUBSCRIBE /" + "x" * 51,
        "SUBSCRIBE /{}",
        "SUBSCRIBE /{a b}",
        "SUBSCRIBE /x{a}",
        "SUBSCRIBE /{a..b}",
        "EVENT_PUBLISH /x",
        "* /x",
    ],
)
def test_a_wrong_pattern_is_a_mistake_that_says_what_is_right(pattern: str) -> None:
    text = f'default = "deny"\n[[rule]]\nname = "a"\nchannels = ["CONNECT", "{pattern}"]'
    with pytest.raises(Misconfigured) as caught:
        parse_rules(text)
    assert f"line 2, rule 'a': channels has {pattern[:64]!a}; it must be CONNECT, SUBSCRIBE /channel" in str(
        caught.value
    )


@pytest.mark.parametrize("rule", ['channels = ["PUBLISH /chat/*"]', 'channels = ["PUBLISH /{sub}"]\nroutes = ["* /x"]'])
def test_where_all_is_allowed_a_rule_asks_for_something(rule: str) -> None:
    with pytest.raises(Misconfigured, match="it asks for nothing"):
        parse_rules(f'default = "allow"\n[[rule]]\nname = "a"\n{rule}')


# --- against an independent matcher: regular expressions over every channel of a small world

NAMES = ("a", "A", "b", ME)
WORLD = [f"/{'/'.join(parts)}" for depth in (1, 2, 3) for parts in product([*NAMES, OTHER], repeat=depth)]
EVERY = [*WORLD, ""]  # nothing stands behind CONNECT
Named = list[tuple[list[str], bool]]  # the channels of each rule, and whether the caller meets it


def channel(operation: str, path: list[str], *, is_wildcard: bool) -> str:
    """A channel, or everything below it."""
    return f"{operation} /{'/'.join([*path, '*'] if is_wildcard or not path else path)}"


def a_pattern(dice: Random) -> str:
    if dice.random() < 0.1:
        return "CONNECT"
    segments = dice.choices([*NAMES, "{user_id}", "{meta.team}"], k=dice.randint(0, 2))
    return channel(dice.choice(["SUBSCRIBE", "SUBSCRIBE", "PUBLISH"]), segments, is_wildcard=dice.random() < 0.5)


def a_case(dice: Random) -> tuple[Named, str]:
    """Rules, and what a client asks for: often what a rule names, or something near to it."""
    rules = [[a_pattern(dice) for _ in range(dice.randint(1, 2))] for _ in range(dice.randint(0, 3))]
    named = [(these, dice.random() < 0.7) for these in rules]
    operation, _, path = dice.choice([one for these in rules for one in these] or [a_pattern(dice)]).partition(" ")
    if operation == "CONNECT":
        return named, operation
    segments = [dice.choice(NAMES) if one[0] == "{" else one for one in path.split("/")[1:] if one != "*"]
    change = dice.choice(["none", "star", "shorter", "longer", "other"])
    match change:
        case "shorter":
            segments = segments[:-1]
        case "longer":
            segments = [*segments, dice.choice(NAMES)][:2]
        case "other":
            segments = dice.choices(NAMES, k=dice.randint(0, 2))
    is_wildcard = operation == "SUBSCRIBE" and path.endswith("*") != (change == "star")
    return named, channel(operation if segments else "SUBSCRIBE", segments, is_wildcard=is_wildcard)


class Matcher:
    """What a pattern names, as regular expressions over whole channels."""

    def __init__(self, pattern: str, claims_: dict[str, list[str]], asked: str) -> None:
        """Whether AWS tells upper from lower case is not known: the form is in any case, a grant in its own."""
        operation, _, path = pattern.partition(" ")
        exact = form = own = ""
        for segment in path.split("/")[1:]:
            text, in_any_case, any_text = re.escape(segment), f"(?i:{re.escape(segment)})", "[^/]+"
            if segment == "*":
                text = in_any_case = any_text = ".+"
            elif segment[0] == "{":
                text = in_any_case = f"(?:{'|'.join(claims_[segment[1:-1]]) or '(?!)'})"
            else:
                any_text = in_any_case
            exact, form, own = f"{exact}/{text}", f"{form}/{any_text}", f"{own}/{in_any_case}"
        self._exact, self._form, self._own = exact, form, own
        asked_operation, _, wanted = asked.partition(" ")
        self._is_meant = operation == asked_operation
        is_wildcard = wanted.endswith("/*")
        self._below = [one for one in EVERY if one == wanted or (is_wildcard and one.startswith(wanted[:-1]))]
        self._base = [wanted[:-2]] if is_wildcard and wanted != "/*" else []

    def overlaps(self) -> bool:
        return self._is_meant and any(re.fullmatch(self._form, one) for one in self._below + self._base)

    def covers(self) -> bool:
        return self._is_meant and all(re.fullmatch(self._exact, one) for one in self._below)

    def is_the_callers(self) -> bool:
        of_this_form = [one for one in self._below + self._base if re.fullmatch(self._form, one)]
        return not self._is_meant or all(re.fullmatch(self._own, one) for one in of_this_form)


@given(dice=st.randoms(use_true_random=True))  # each case as likely as any other: Hypothesis prefers simple ones
@settings(max_examples=1000, deadline=None)
def test_the_verdict_is_that_of_an_independent_matcher(dice: Random) -> None:
    """And a granted wildcard covers no channel that the caller may not read."""
    (named, asked), default = a_case(dice), dice.choice(["allow", "deny"])
    team = dice.choice([None, "a", ["a", "b"], [], "", ME])
    note(f"{default=} {team=} {named=} {asked=}")
    tables = [
        f'[[rule]]\nname = "{number}"\nchannels = {these!r}\nrequire = {{ role = "{"user" if is_met else "admin"}" }}'
        for number, (these, is_met) in enumerate(named)
    ]
    rules = parse_rules("\n".join([f'default = "{default}"', *tables]))
    caller = claims(role="user", meta={"team": team})
    verdict = rules.evaluate(request(asked), caller, NOW)

    teams = [one for one in (team if isinstance(team, list) else [team]) if isinstance(one, str) and one]
    own = {"user_id": [ME], "meta.team": teams}
    met = [[Matcher(one, own, asked) for one in these] for these, is_met in named if is_met]
    unmet = [Matcher(one, own, asked) for these, is_met in named if not is_met for one in these]
    if any(one.overlaps() for one in unmet):
        expected = False
    elif default == "deny":
        expected = any(one.covers() for these in met for one in these)
    else:
        expected = all(
            all(one.is_the_callers() for one in these) or any(one.covers() for one in these) for these in met
        )
    assert (verdict.reason is Reason.ALLOWED) is expected
    operation, _, wanted = asked.partition(" ")
    if verdict.reason is Reason.ALLOWED and wanted.endswith("/*"):
        for one in WORLD:
            if one.startswith(wanted[:-1]):
                assert rules.evaluate(request(f"{operation} {one}"), caller, NOW).reason is Reason.ALLOWED


def test_what_is_parsed_is_what_was_written() -> None:
    pattern = parse_pattern("SUBSCRIBE /inbox/{user_id}/{meta.team}/*")
    assert pattern.segments == ("inbox", ("sub",), ("meta", "team"))
    assert pattern.open_ended
    assert parse_asked("PUBLISH", "/chat/*") is None
