"""`make doctor`: it names every claim that users could write themselves, and stops at rules that would not start."""

from pathlib import Path

import pytest

from authorizer.rules.parser import parse_rules
from local import doctor

RULES = """
default = "allow"
allow_unusual_paths = true
[[rule]]
name = "a"
routes = ["* /admin", "* /admin/*", "GET /open/*", "GET /me", "POST /pay*", "POST /pay/x", "$connect"]
require = { role = "admin", metadata.plan = "gold", username = "x", amr = ["ext:github", "paskey"] }
"""


def test_every_claim_that_hanko_does_not_set_is_named() -> None:
    assert list(doctor.warnings(parse_rules(RULES))) == [
        "a: role comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: metadata.plan comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: username is what the user calls himself; it should decide nothing",
        "a: Hanko knows no login 'paskey'",
        "a: should your JWT template set amr, then sessions made by an administrator carry what it sets",
        "a: /me does not guard what is below it, /me/*",
        "a: /open/* does not guard /open",
        "allow_unusual_paths: a backend that decodes or tidies paths can be led around every rule",
    ]


def test_the_claims_in_channels_are_named_as_well() -> None:
    channels = '["SUBSCRIBE /inbox/{user_id}/*", "SUBSCRIBE /teams/{team}", "PUBLISH /by/{username}"]'
    rules = parse_rules(f'default = "deny"\n[[rule]]\nname = "a"\nchannels = {channels}')
    assert list(doctor.warnings(rules)) == [
        "a: team comes from your JWT template; taken from Metadata.Unsafe, users write it themselves",
        "a: username is what the user calls himself; it should decide nothing",
    ]


def test_with_deny_the_words_are_others() -> None:
    rules = parse_rules('default = "deny"\n[[rule]]\nname = "a"\nroutes = ["GET /me", "GET /open/*"]')
    assert list(doctor.warnings(rules)) == [
        "a: /me does not grant what is below it, /me/*",
        "a: /open/* does not grant /open",
    ]


def test_rules_that_would_not_start_are_told(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("default = 1")
    with pytest.raises(SystemExit, match="the file: default must be") as stopped:
        doctor.main([str(file)])
    assert str(stopped.value).startswith(f"{file}: Wrong rules:\n")


def test_the_projects_own_rules_are_well(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main([])
    assert capsys.readouterr().out == "rules.toml: 0 rules, 4096 bytes of an answer are left to the context\n"
