"""`make doctor` on rules: it names every claim that users could write, and rules that would not start."""

from pathlib import Path

from authorizer.rules.parser import parse_rules
from local.doctor.finding import Level
from local.doctor.rules import read_rules, warnings

RULES = """
default = "allow"
allow_unusual_paths = true
[[rule]]
name = "a"
routes = ["* /admin", "* /admin/*", "GET /open/*", "GET /me", "POST /pay*", "POST /pay/x", "$connect"]
require = { role = "admin", metadata.plan = "gold", username = "x", amr = ["ext:github", "paskey"] }
"""


def test_every_claim_that_hanko_does_not_set_is_named() -> None:
    assert [told for _, told in warnings(parse_rules(RULES))] == [
        "a: role comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: metadata.plan comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: username is written by the users themselves; it should decide nothing",
        "a: Hanko knows no login 'paskey'",
        "a: if your JWT template sets amr, sessions made by an administrator carry its value",
        "a: /me does not guard what is below it, /me/*",
        "a: /open/* does not guard /open",
        "allow_unusual_paths: a backend that decodes or tidies paths can be led around every rule",
    ]


def test_the_claims_in_channels_are_named_as_well() -> None:
    channels = '["SUBSCRIBE /inbox/{user_id}/*", "SUBSCRIBE /teams/{team}", "PUBLISH /by/{username}"]'
    rules = parse_rules(f'default = "deny"\n[[rule]]\nname = "a"\nchannels = {channels}')
    assert [told for _, told in warnings(rules)] == [
        "a: team comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: username is written by the users themselves; it should decide nothing",
    ]


def test_with_deny_the_words_are_others() -> None:
    rules = parse_rules('default = "deny"\n[[rule]]\nname = "a"\nroutes = ["GET /me", "GET /open/*"]')
    assert [told for _, told in warnings(rules)] == [
        "a: /me does not grant what is below it, /me/*",
        "a: /open/* does not grant /open",
    ]


def test_rules_that_would_not_start_are_told(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("default = 1\nother = 2")
    rules, findings = read_rules(file)
    assert rules is None
    assert [(one.code, one.level, one.where) for one in findings] == [("rules-invalid", Level.WRONG, str(file))] * 2
    assert "default must be" in findings[1].what


def test_rules_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe9")
    for file, told in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory"), (latin, "no UTF-8")):
        _, findings = read_rules(file)
        assert told in findings[0].what


def test_the_projects_own_rules_are_well() -> None:
    rules, findings = read_rules(Path("rules.toml"))
    assert rules is not None
    assert findings == []
