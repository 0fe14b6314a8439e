"""The text of rules.toml: what it may say, and what each mistake is told as."""

import pytest

from authorizer.errors import Misconfigured, Reason
from authorizer.model import MAX_CONTEXT_BYTES, METHODS
from authorizer.rules.evaluation import Requirement, Rule, Rules
from authorizer.rules.parser import parse_rules
from authorizer.rules.routes import Route
from authorizer.rules.source import rules_of

DOCUMENTED = """
default = "allow"                      # or "deny": only what a rule grants; required as soon as there is a rule

[[rule]]
name = "admins only"
routes = ["* /admin", "* /admin/*"]
require = { role = "admin" }

[[rule]]
name = "payments want a fresh, strong login"
routes = ["POST /payments*"]
fields = ["Mutation.pay"]
require = { amr = ["passkey", "security_key"], email_verified = true }
max_age_seconds = 300
"""


def mistakes(text: str) -> list[str]:
    """The lines of the message, without its heading."""
    with pytest.raises(Misconfigured) as caught:
        parse_rules(text)
    assert caught.value.reason is Reason.RULES_INVALID
    heading, *lines = str(caught.value).splitlines()
    assert heading == "Wrong rules:"
    return lines


def rule_with(members: str, default: str = "allow") -> str:
    return f'default = "{default}"\n\n[[rule]]\n{members}\n'


def the_mistake(members: str, default: str = "allow") -> str:
    (line,) = mistakes(rule_with(members, default))
    return line


def test_the_documented_example() -> None:
    assert parse_rules(DOCUMENTED) == Rules(
        (
            Rule(
                "admins only",
                (Route(METHODS, "/admin", open_ended=False), Route(METHODS, "/admin/", open_ended=True)),
                (),
                (Requirement(("role",), ("admin",)),),
                None,
            ),
            Rule(
                "payments want a fresh, strong login",
                (Route(("POST",), "/payments", open_ended=True),),
                ("Mutation.pay",),
                (Requirement(("amr",), ("passkey", "security_key")), Requirement(("email", "is_verified"), (True,))),
                300,
            ),
        ),
        default_allows=True,
    )


@pytest.mark.parametrize("text", ["", "\n \n", "# a comment\n  # and another"])
def test_without_a_rule_everything_is_allowed(text: str) -> None:
    assert rules_of(text) is None
    assert parse_rules(text) == parse_rules('default = "allow"') == Rules()


def test_deny_may_stand_alone_and_denies_everything() -> None:
    assert parse_rules('default = "deny"') == Rules((), default_allows=False)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "default =",
        "\0",
        "x = [" * 5000,
        "x = " + "[" * 5000,
        "x = " + "9" * 5000,
        "default = 'allow'\n\n[[rule",
        "\ud800".join("ab"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str) -> None:
    (line,) = mistakes(text)
    assert line.startswith("no TOML: ")
    assert len(line) < 200
    assert line.isascii()


@pytest.mark.parametrize("default", ["", "default = 'Allow'", "default = true", "default = ['allow']", "default = ''"])
def test_a_default_is_required_as_soon_as_there_is_a_rule(default: str) -> None:
    text = f'{default}\n[[rule]]\nname = "a"\nroutes = ["GET /a"]\nrequire = {{ role = "x" }}'
    assert mistakes(text) == ['the file: default must be "allow" or "deny", and is required as soon as there is a rule']


@pytest.mark.parametrize("value", ["1", '"x"', "[1]", "{ name = 'a' }"])
def test_rules_are_tables(value: str) -> None:
    assert mistakes(f'default = "allow"\nrule = {value}') == ["the file: rule must be written as [[rule]]"]


def test_a_mistake_names_line_and_rule() -> None:
    text = DOCUMENTED + '\n[[rule]]\nname = "third"\nroutes = ["GET /a*b"]\nrequire = { role = "x" }\n'
    (line,) = mistakes(text)
    assert line.startswith(
        "line 16, rule 'third': routes has 'GET /a*b'; it must be $connect or METHOD /path of at most "
    )


def test_rules_in_one_line_are_counted_instead() -> None:
    assert mistakes('default = "allow"\nrule = [{ name = "a", routes = ["GET /a"] }, { routes = ["GET /b"] }]') == [
        "rule 1, rule 'a': it asks for nothing; it must have require or max_age_seconds",
        'rule 2: name must be 1 to 64 visible ASCII characters, without ", ; and \\',
        "rule 2: it asks for nothing; it must have require or max_age_seconds",
    ]


def test_all_mistakes_are_told_at_once_and_no_value_that_is_asked_for() -> None:
    text = """
color = "red"
[[rule]]
name = "a"
route = ["GET /a"]
require = { role = [], plan = [{}], "a..b" = "SECRET" }
max_age_seconds = 0
[[rule]]
name = "a"
routes = []
require = {}
"""
    lines = mistakes(text)
    assert lines == [
        "the file: 'color' is no key here",
        'the file: default must be "allow" or "deny", and is required as soon as there is a rule',
        "line 3, rule 'a': 'route' is no key here",
        (
            "line 3, rule 'a': require 'role' must be a claim's path with a text, number, boolean, or a list of them, "
            "and not empty"
        ),
        "line 3, rule 'a': max_age_seconds must be a whole number of seconds from 1 to 31536000",
        "line 3, rule 'a': it guards nothing; it must have routes, fields or channels",
        "line 8, rule 'a': routes must be a list of texts, and not empty",
        "line 8, rule 'a': require must be a table of claims and values, and not empty",
        "the file: two rules are named 'a'",
    ]


@pytest.mark.parametrize(
    "name", ["''", "'a;b'", "'a\"b'", "'a\\b'", "'é'", "' a'", "'a '", '"a\\nb"', f"'{'x' * 65}'", "7", "['a']", "{}"]
)
def test_a_name_is_visible_text_that_fits_into_json_and_lists(name: str) -> None:
    line = the_mistake(f"name = {name}\nroutes = ['GET /a']\nmax_age_seconds = 1")
    assert line.endswith('name must be 1 to 64 visible ASCII characters, without ", ; and \\')


def test_a_mistake_names_its_rule_to_the_64th_character() -> None:
    line = the_mistake(f"name = '{'n' * 63}xyz'\nroutes = ['GET /a']\nmax_age_seconds = 1")
    assert line.startswith(f"line 3, rule '{'n' * 63}x': name must be ")


def test_an_unknown_key_is_told_to_its_64th_character() -> None:
    assert mistakes(f"{'k' * 63}xyz = 1") == [f"the file: '{'k' * 63}x' is no key here"]


def test_a_rule_asks_by_its_channels_only_if_it_guards_nothing_else() -> None:
    asks = "name = 'a'\nchannels = ['SUBSCRIBE /inbox/{sub}', 'PUBLISH /chat/*']"
    assert parse_rules(rule_with(asks)).rules[0].channels
    assert "it asks for nothing" in the_mistake(asks.replace("{sub}", "*"))
    for other in ("fields = ['Query.me']", "routes = ['GET /a']"):
        assert the_mistake(f"{asks}\n{other}").startswith("line 3, rule 'a': it asks for nothing; ")


def test_a_mistake_in_a_channel_is_the_only_one() -> None:
    assert the_mistake("name = 'a'\nchannels = ['/a']").startswith("line 3, rule 'a': channels has '/a'")


@pytest.mark.parametrize(
    ("route", "parsed"),
    [
        ("GET /", Route(("GET",), "/", open_ended=False)),
        ("* /*", Route(METHODS, "/", open_ended=True)),
        ("DELETE /a/b-c_d.e~f", Route(("DELETE",), "/a/b-c_d.e~f", open_ended=False)),
        ("POST /v1/items:batch", Route(("POST",), "/v1/items:batch", open_ended=False)),
        ("PUT /a*", Route(("PUT",), "/a", open_ended=True)),
        ("PATCH /.well-known/x", Route(("PATCH",), "/.well-known/x", open_ended=False)),
        ("GET /a/", Route(("GET",), "/a/", open_ended=False)),
        ("$connect", Route(("$connect",), "", open_ended=False)),
        ("GET /" + "a" * 195, Route(("GET",), "/" + "a" * 195, open_ended=False)),
    ],
)
def test_a_route_is_a_method_and_a_path(route: str, parsed: Route) -> None:
    text = rule_with(f"name = 'a'\nroutes = ['{route}']\nmax_age_seconds = 1")
    assert parse_rules(text).rules[0].routes == (parsed,)


@pytest.mark.parametrize(
    "route",
    [
        "",
        "GET",
        "/admin",
        "GET admin",
        "GET  /admin",
        " GET /admin",
        "GET /admin ",
        "get /admin",
        "ANY /admin",
        "TRACE /admin",
        "GET,POST /admin",
        "GET /a*b",
        "GET /*/b",
        "GET /a**",
        "GET /a?",
        "GET /a%20b",
        "GET /a;b",
        "GET /{id}",
        "GET /{proxy+}",
        "GET /a\\\\b",
        "GET /a b",
        "GET /a#b",
        "GET /é",
        "GET //a",
        "GET /a//",
        "GET /./a",
        "GET /a/..",
        "$default",
        "$disconnect",
        "GET $connect",
        "GET /" + "a" * 196,
    ],
)
def test_any_other_route_is_refused(route: str) -> None:
    assert " routes has " in the_mistake(f'name = "a"\nroutes = ["{route}"]\nmax_age_seconds = 1')


@pytest.mark.parametrize("value", ["[]", "'GET /a'", "[1]", "['GET /a', 1]", "{}", "[['GET /a']]", "true"])
def test_routes_and_fields_are_lists_of_texts(value: str) -> None:
    for key in ("routes", "fields"):
        line = the_mistake(f"name = 'a'\n{key} = {value}\nmax_age_seconds = 1")
        assert line == f"line 3, rule 'a': {key} must be a list of texts, and not empty"


@pytest.mark.parametrize(
    "field",
    [
        "",
        "pay",
        "Mutation.",
        ".pay",
        "Mutation.pay.x",
        "Mutation.*",
        "*",
        "Mütation.x",
        "a b.c",
        "t" * 65 + ".f",
        "T." + "f" * 65,
    ],
)
def test_a_field_is_a_type_and_a_name(field: str) -> None:
    line = the_mistake(f"name = 'a'\nfields = ['{field}']\nmax_age_seconds = 1")
    assert line.endswith("it must be Type.field")


@pytest.mark.parametrize("field", ["a.b", "_.B_9", f"{'t' * 64}.{'f' * 64}"])
def test_the_names_of_graphql_are_fields(field: str) -> None:
    assert parse_rules(rule_with(f"name = 'a'\nfields = ['{field}']\nmax_age_seconds = 1")).rules[0].fields == (field,)


def test_fields_and_deny_do_not_go_together() -> None:
    line = the_mistake("name = 'a'\nfields = ['Query.me']", "deny")
    assert line == ("line 3, rule 'a': fields need default = \"allow\", since AppSync can only be told what to deny")


def test_with_deny_a_rule_may_ask_for_nothing() -> None:
    assert parse_rules(rule_with("name = 'a'\nroutes = ['GET /a']", "deny")).rules[0].requirements == ()


@pytest.mark.parametrize(
    ("require", "requirements"),
    [
        ("{ role = 'admin' }", [(("role",), ("admin",))]),
        ("{ role = ['admin', 'owner'] }", [(("role",), ("admin", "owner"))]),
        ("{ level = 3, ratio = 0.5, ok = false }", [(("level",), (3,)), (("ratio",), (0.5,)), (("ok",), (False,))]),
        ("{ metadata.plan = 'gold' }", [(("metadata", "plan"), ("gold",))]),
        ("{ 'metadata.plan' = 'gold' }", [(("metadata", "plan"), ("gold",))]),
        (
            "{ metadata.plan = 'a', 'metadata.plan' = 'b' }",
            [(("metadata", "plan"), ("a",)), (("metadata", "plan"), ("b",))],
        ),
        ("{ email_verified = true }", [(("email", "is_verified"), (True,))]),
        ("{ 'https://example.com/role' = 'x' }", [(("https://example", "com/role"), ("x",))]),
    ],
)
def test_what_is_required(require: str, requirements: list[tuple[tuple[str, ...], tuple[object, ...]]]) -> None:
    (rule,) = parse_rules(rule_with(f"name = 'a'\nroutes = ['GET /a']\nrequire = {require}")).rules
    assert [(one.path, one.values) for one in rule.requirements] == requirements


@pytest.mark.parametrize(
    "require",
    [
        *("{}", "[]", "'admin'", "{ role = [] }", "{ role = {} }", "{ a = 'x', role = { b = {} } }", "{ role = nan }"),
        *(
            "{ role = [inf] }",
            *("{ max_age_seconds = 300 }", "{ guard_head = true }", "{ require.a = 'x' }"),
            *("{ routes.a = 'x' }", "{ fields = ['Query.me'] }", "{ channels = ['/a'] }"),
            "{ role = 2026-01-01 }",
            "{ role = [['a']] }",
            "{ role = [{}] }",
            "{ '' = 'x' }",
        ),
        *("{ 'a.' = 'x' }", "{ '.a' = 'x' }"),
        *("{ role = '' }", "{ role = ['admin', ''] }"),  # an empty text is an absent claim: nobody could meet it
    ],
)
def test_what_cannot_be_required(require: str) -> None:
    line = the_mistake(f"name = 'a'\nroutes = ['GET /a']\nrequire = {require}")
    assert line.startswith("line 3, rule 'a': require ")


def test_what_cannot_be_required_is_told_to_its_64th_character() -> None:
    line = the_mistake(f"name = 'a'\nroutes = ['GET /a']\nrequire = {{ a.{'b' * 61}xyz = [] }}")
    assert line.startswith(f"line 3, rule 'a': require 'a.{'b' * 61}x' must be a claim's path ")


@pytest.mark.parametrize("value", ["0", "-1", "31536001", "1.5", "true", "'60'", "[60]"])
def test_an_age_is_a_whole_number_of_seconds(value: str) -> None:
    line = the_mistake(f"name = 'a'\nroutes = ['GET /a']\nmax_age_seconds = {value}")
    assert line == "line 3, rule 'a': max_age_seconds must be a whole number of seconds from 1 to 31536000"


def test_the_longest_age_is_a_year() -> None:
    (rule,) = parse_rules(rule_with("name = 'a'\nroutes = ['GET /a']\nmax_age_seconds = 31_536_000")).rules
    assert rule.max_age_seconds == 31_536_000


@pytest.mark.parametrize("name", ["a", "~", "ab", "a b", "n" * 64])
def test_a_name_has_1_to_64_characters(name: str) -> None:
    (rule,) = parse_rules(rule_with(f'name = "{name}"\nroutes = ["GET /a"]\nmax_age_seconds = 1')).rules
    assert rule.name == name


@pytest.mark.parametrize("value", ["1", "'true'", "[]"])
def test_head_is_guarded_or_not(value: str) -> None:
    line = the_mistake(f"name = 'a'\nroutes = ['GET /a']\nmax_age_seconds = 1\nguard_head = {value}")
    assert line == "line 3, rule 'a': guard_head must be true or false"
    for given, kept in (("", True), ("guard_head = true", True), ("guard_head = false", False)):
        (rule,) = parse_rules(rule_with(f"name = 'a'\nroutes = ['GET /a']\nmax_age_seconds = 1\n{given}")).rules
        assert rule.guard_head is kept


@pytest.mark.parametrize("value", ["1", "'true'", "[]"])
def test_unusual_paths_are_allowed_or_not(value: str) -> None:
    assert mistakes(f"allow_unusual_paths = {value}") == ["the file: allow_unusual_paths must be true or false"]
    assert parse_rules("allow_unusual_paths = true").allow_unusual_paths


# --- what must fit into an answer


def many(count: int, default: str = "allow", kind: str = "routes", what: str = "GET /a{0}*") -> str:
    one = "[[rule]]\nname = 'rule {0}'\n" + kind + " = ['" + what + "']\nmax_age_seconds = 1\n"
    return f'default = "{default}"\n' + "".join(one.format(number) for number in range(count))


def first_too_many(default: str, kind: str, what: str) -> int:
    return next(count for count in range(1, 200) if not _fits(many(count, default, kind, what)))


def _fits(text: str) -> bool:
    try:
        parse_rules(text)
    except Misconfigured:
        return False
    return True


@pytest.mark.parametrize(
    ("default", "kind", "what", "fit"),
    [
        ("allow", "routes", "GET /a{0}*", 35),
        ("allow", "routes", "POST /a{0}*", 70),
        ("deny", "routes", "GET /a{0}*", 30),
        ("allow", "fields", "Query.a{0}", 40),
    ],
)
def test_a_set_that_could_exceed_the_answer_is_refused_with_the_rule_that_does(
    default: str, kind: str, what: str, fit: int
) -> None:
    count = first_too_many(default, kind, what)
    assert count > fit
    (line,) = mistakes(many(count + 5, default, kind, what))
    assert line == f"the file: rule 'rule {count - 1}' is one too many: with it, an answer could exceed 8000 bytes"


@pytest.mark.parametrize(
    ("default", "routes", "count"),
    [
        ("allow", '["* /area{0}", "* /area{0}/*"]', 4),
        ("allow", '["* /area{0}*"]', 9),
        ("allow", '["GET /area{0}*"]', 35),
        ("allow", '["POST /area{0}*"]', 69),
        ("deny", '["* /area{0}", "* /area{0}/*"]', 4),
        ("deny", '["* /area{0}*"]', 8),
        ("deny", '["GET /area{0}*"]', 39),
        ("deny", '["POST /area{0}*"]', 58),
    ],
)
@pytest.mark.parametrize("asks", ["max_age_seconds = 1", "require.role = 'admin'"])
def test_how_many_areas_fit_is_what_the_readme_says(asks: str, default: str, routes: str, count: int) -> None:
    one = f"[[rule]]\nname = 'rule {{0}}'\nroutes = {routes}\n{asks}\n"
    texts = [f'default = "{default}"\n' + "".join(one.format(n) for n in range(rules)) for rules in (count, count + 1)]
    assert [_fits(text) for text in texts] == [True, False]


def test_what_everybody_may_call_is_never_denied_and_costs_nothing_there() -> None:
    one = "[[rule]]\nname = 'rule {0}'\nroutes = ['GET /area{0}']\n"
    free = 'default = "deny"\n' + "".join(one.format(n) for n in range(58))
    assert _fits(free)
    assert not _fits(free.replace("\n[[", "\nmax_age_seconds = 1\n[["))  # two patterns each where it can be denied


def test_rules_over_the_same_routes_cost_nothing_more() -> None:
    assert len(parse_rules(many(200, what="* /admin/*")).rules) == 200


def test_many_rules_leave_less_to_the_claims() -> None:
    assert parse_rules(many(1)).context_bytes == MAX_CONTEXT_BYTES
    assert 1024 <= parse_rules(many(first_too_many("allow", "routes", "GET /a{0}*") - 1)).context_bytes < 1200


@pytest.mark.parametrize(
    ("default", "kind", "what", "count", "left"),
    [  # 8000 - 600 for the rest - 500 for unmet rules - 487 for unusual paths, and with "allow" - 613 for the methods
        ("allow", "routes", "POST /a{0}*", 72, 1058),  # each 57 and the pattern: 10 * 65 + 62 * 66
        ("deny", "routes", "POST /a{0}*", 59, 1113),  # each 81 and the pattern: 10 * 89 + 49 * 90
        ("deny", "routes", "GET /a{0}*", 41, 1062),  # granted as GET, or denied as GET and HEAD: 10 * 129 + 31 * 131
        ("allow", "fields", "Query.a{0}", 53, 1080),  # each 101 and the field, and no path: 10 * 109 + 43 * 110
    ],
)
def test_what_is_left_to_the_claims_is_counted_to_the_byte(
    default: str, kind: str, what: str, count: int, left: int
) -> None:
    assert parse_rules(many(count, default, kind, what)).context_bytes == left


def test_the_claims_have_at_least_a_kibibyte() -> None:
    rules = many(72, what="POST /a{0}*")
    spare = 1058 - 1024
    assert parse_rules(rules.replace("/a0*", f"/a0{'x' * spare}*")).context_bytes == 1024
    assert not _fits(rules.replace("/a0*", f"/a0{'x' * (spare + 1)}*"))


def test_a_name_that_stands_twice_is_told_to_its_64th_character() -> None:
    """A longer one is a mistake of its own."""
    rule = f'[[rule]]\nname = "{"n" * 63}xyz"\nroutes = ["GET /a"]\nmax_age_seconds = 1\n'
    with pytest.raises(Misconfigured, match=rf"two rules are named '{'n' * 63}x'(\n|$)"):
        parse_rules('default = "allow"\n' + rule * 2)
