"""`make keys`: what it writes is what the authorizer reads, and nothing is written when Hanko gives no keys."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import MakeSettings, Time

from authorizer.errors import Misconfigured
from authorizer.hanko.bundled import read_bundled
from authorizer.hanko.failure import FetchFailed
from local import keys_file
from local.command_line import CommandFailed
from local.hanko import StandInHanko, pool_key

Fetch = Callable[..., int]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_what_is_fetched_is_what_the_authorizer_reads(
    hanko: StandInHanko, make_settings: MakeSettings, time_: Time, file: Path
) -> None:
    hanko.rotate()
    assert keys_file.fetch_keys(f"{hanko.url}/", {"HANKO_KEYS_FILE": "another"}, time_.clock, file) == 2
    bundled = read_bundled(make_settings(), time_.clock, file)
    assert list(bundled.keys) == hanko.kids
    assert bundled.keys[hanko.kids[1]] == pool_key(0).public_key()
    assert json.loads(file.read_text())["fetched_at"] == int(time_.wall)


@pytest.mark.parametrize("mode", ["down", "reset", "garbage"])
def test_nothing_is_written_when_hanko_gives_no_keys(hanko: StandInHanko, time_: Time, file: Path, mode: str) -> None:
    hanko.behave(mode)
    with pytest.raises(FetchFailed):
        keys_file.fetch_keys(hanko.url, {}, time_.clock, file)
    assert not file.exists()


def test_a_set_without_a_usable_key_is_none(hanko: StandInHanko, time_: Time, file: Path) -> None:
    hanko.behave("body", data='{"keys": []}')
    with pytest.raises(FetchFailed):
        keys_file.fetch_keys(hanko.url, {}, time_.clock, file)
    assert not file.exists()


def test_plain_http_is_for_loopback_here_too(time_: Time, file: Path) -> None:
    with pytest.raises(Misconfigured, match="HANKO_API_URL is not encrypted"):
        keys_file.fetch_keys("http://hanko.example.com", {}, time_.clock, file)


def test_an_environment_without_a_hanko_is_said_to_have_none() -> None:
    with pytest.raises(CommandFailed, match="local has no HankoApiUrl"):
        keys_file.main(["local"])


def test_the_command_says_what_went_wrong(monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko, tmp_path: Path) -> None:
    samconfig = tmp_path / "samconfig.toml"
    monkeypatch.setenv("SAM_CONFIG_FILE", str(samconfig))
    hanko.behave("down")
    for url, said in ((hanko.url, "no usable key set: connection"), ("http://hanko.example.com", "not encrypted")):
        samconfig.write_text(f'version = 0.1\n[prod.deploy.parameters]\nparameter_overrides = "HankoApiUrl={url}"\n')
        with pytest.raises(CommandFailed, match=said):
            keys_file.main(["prod"])
