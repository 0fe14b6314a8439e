"""What `make sam` builds from, without Docker. tests/docker runs the rest."""

import json
import tomllib
from pathlib import Path

import jwt
import pytest

from authorizer.config import Settings
from local import sam
from local.build import ROOT
from local.command_line import CommandFailed
from local.hanko.offline import AUDIENCE, ISSUER, offline_hanko
from local.sign import main as sign


def test_the_template_has_the_authorizer_alone_and_needs_no_overrides() -> None:
    """One function, so that `sam local invoke` needs no name; a default for every parameter that it has."""
    template = sam.compose("")
    assert list(template["Resources"]) == ["AuthorizerFunction"]
    assert [name for name, entry in template["Parameters"].items() if "Default" not in entry] == []
    assert template["Parameters"]["Architecture"]["Default"] == sam.MACHINE


def test_the_settings_of_the_template_are_accepted() -> None:
    template = sam.compose("")
    variables = template["Resources"]["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]
    values = {name: str(template["Parameters"][value["Ref"]]["Default"]) for name, value in variables.items()}
    settings = Settings.from_env(values)
    assert (settings.api_url, settings.keys_file, settings.issuer) == (sam.API_URL, "keys.json", ISSUER)


@pytest.mark.parametrize("example", sam.EXAMPLES)
def test_an_example_has_the_authorizer_beside_it(example: str) -> None:
    """SAM CLI runs only authorizers of the same template; a function that comes first would hide the API from it."""
    template = sam.compose(example)
    assert list(template["Resources"])[-1] == "AuthorizerFunction"
    assert "AuthorizerArn" not in json.dumps(template)
    assert "${AuthorizerFunction.Arn}" in json.dumps(template)
    assert [name for name, entry in template["Parameters"].items() if "Default" not in entry] == []


def test_an_example_that_sam_does_not_serve_is_refused() -> None:
    with pytest.raises(CommandFailed, match="EXAMPLE=websocket is nothing that sam local start-api serves"):
        sam.compose("websocket")


def test_wrong_rules_are_told_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES", "README.md")
    with pytest.raises(CommandFailed, match=r"^RULES=README\.md is wrong:\n  no TOML"):
        sam.build()


def test_the_plain_commands_find_the_build() -> None:
    default = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    for command in ("local_invoke", "local_start_api"):
        assert ROOT / default[command]["parameters"]["template_file"] == sam.TEMPLATE


def test_sign_uses_the_key_that_is_packed(capsys: pytest.CaptureFixture[str]) -> None:
    """Another process signs with the same key, under the same id."""
    sign(["--sam", "--token-only"])
    token = capsys.readouterr().out.strip()
    key = jwt.PyJWKSet.from_dict(offline_hanko().jwks)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
    assert claims["email"]["address"] == "user@example.com"


def test_nobody_else_can_read_the_event_with_its_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modes = []

    def captured(command: list[str], _environment: object) -> tuple[int, str]:
        modes.append(Path(command[command.index("--event") + 1]).stat().st_mode & 0o777)
        return 0, "{}"

    monkeypatch.setattr(sam, "FOLDER", tmp_path)
    monkeypatch.setattr(sam, "captured", captured)
    assert sam.invoke({"authorizationToken": "x"}) == {}
    assert (modes, list(tmp_path.iterdir())) == ([0o600], [])
