"""The reader that signs its own requests: botocore is the oracle for signatures and endpoints."""

import json
import random
import socket
import string
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import botocore.auth
import botocore.session
import pytest
from aws import TABLE, Aws, signed_reader
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from sandbox import MakeSettings, Time
from servers import HANG_GUARD_SECONDS, Script, answering, read_head, resetting, saying, serving, whole

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.strict_json import parse_object
from authorizer.revocation import signed, table
from authorizer.revocation.reader import ReadFailed
from authorizer.revocation.signed import SignedReader, open_signed
from authorizer.revocation.sigv4 import Credentials, sign

REQUESTS = 100  # of each of 20 sequences
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
}


ONLY_BOTOCORE = [  # what botocore reads, and we do not
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_CA_BUNDLE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DATA_PATH",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "REQUESTS_CA_BUNDLE",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
]


@pytest.fixture
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder without ~/.aws/config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


# --- signatures


def words(chance: random.Random, alphabet: str, most: int) -> str:
    return "".join(chance.choices(alphabet, k=chance.randint(1, most)))


def signed_by_botocore(  # noqa: PLR0913, PLR0917 - all that a signature covers
    credentials: Credentials,
    region: str,
    headers: dict[str, str],
    body: bytes,
    at: datetime,
    freeze: pytest.MonkeyPatch,
) -> dict[str, str]:
    freeze.setattr(botocore.auth, "get_current_datetime", lambda: at.replace(tzinfo=None))
    request = AWSRequest("POST", f"https://{headers['Host']}/", headers, body)
    theirs = BotocoreCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
    )
    botocore.auth.SigV4Auth(theirs, "dynamodb", region).add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize("seed", range(20))
def test_botocore_signs_the_same_byte_for_byte(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same requests every time
    visible = string.ascii_letters + string.digits + "+/="
    for number in range(REQUESTS):
        token = words(chance, visible, 800) if number % 2 else ""
        credentials = Credentials(words(chance, visible[:62], 32), words(chance, visible, 60), token)
        region = words(chance, string.ascii_lowercase + "-", 20)
        headers = {
            "Host": words(chance, string.ascii_lowercase + string.digits + ".-", 60) + chance.choice(["", ":8000"]),
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": words(chance, visible[:62] + "_.", 40),
        }
        body, at = chance.randbytes(chance.randint(0, 600)), datetime.fromtimestamp(chance.randint(0, 2**32), UTC)
        theirs = signed_by_botocore(credentials, region, headers, body, at, monkeypatch)
        assert sign(credentials, region, "dynamodb", headers, body, at.timestamp() + 0.999) == theirs


def test_credentials_do_not_show() -> None:
    assert "secret" not in repr(Credentials("id", "secret", "secret"))


# --- where DynamoDB is


def opened(make_settings: MakeSettings, time_: Time, ca_file: str = "", **changes: str | None) -> SignedReader | None:
    environ = {name: value for name, value in {**ENVIRONMENT, **changes}.items() if value is not None}
    settings = make_settings()._replace(ca_file=ca_file or None)
    return open_signed(environ, settings, TABLE, HttpsClient(settings, time_.clock), time_.clock)


@pytest.mark.usefixtures("no_configuration")
def test_every_region_has_the_endpoint_that_botocore_knows_or_is_left_to_it(
    make_settings: MakeSettings, time_: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    regions = [region for one in partitions for region in session.get_available_regions("dynamodb", one)]
    ours = {
        region: opened(make_settings, time_, AWS_DEFAULT_REGION=region) for region in regions if "fips" not in region
    }
    for region, reader in ours.items():
        client = session.create_client("dynamodb", region, aws_access_key_id="x", aws_secret_access_key="x")
        theirs = client.meta.endpoint_url
        client.close()
        assert reader is None or f"https://{reader.url.host}" == theirs, region
    left = {region for region, reader in ours.items() if reader is None}
    assert {region.split("-")[0] for region in left} <= {"cn", "us", "eu", "eusc"}  # cn and isolated partitions
    assert all("iso" in region or region.startswith(("cn-", "eusc-")) for region in left)
    assert len(ours) - len(left) > 30


@pytest.mark.usefixtures("no_configuration")
def test_the_more_special_endpoint_counts(make_settings: MakeSettings, time_: Time) -> None:
    both = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": "https://vpce-1.example.com"}
    for changes, expected in (
        ({}, ("dynamodb.eu-west-1.amazonaws.com", 443)),
        (both, ("vpce-1.example.com", 443)),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ("127.0.0.1", 1)),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_DEFAULT_REGION": "cn-north-1"}, ("127.0.0.1", 1)),
    ):
        reader = opened(make_settings, time_, **changes)
        assert reader is not None
        assert (reader.url.host, reader.url.port) == expected


@pytest.mark.usefixtures("no_configuration")
@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")),
        {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
        *({name: "x"} for name in ONLY_BOTOCORE),
        {"https_proxy": "http://proxy.example.com:3128"},
        {"AWS_DEFAULT_REGION": None, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        {"AWS_DEFAULT_REGION": "cn-north-1"},
        {"AWS_DEFAULT_REGION": "us-iso-east-1"},
        {"AWS_DEFAULT_REGION": "eu-west-1.evil.example.com/"},
        {"AWS_DEFAULT_REGION": "eu-west-1.evil.example.com"},
        {"AWS_ENDPOINT_URL": "https://example.com/dynamodb"},
        {"AWS_ENDPOINT_URL": "ftp://example.com"},
        {"ca_file": "/opt/hanko-ca.pem"},
    ],
    ids=str,
)
def test_what_is_not_understood_here_is_left_to_botocore(
    make_settings: MakeSettings, time_: Time, changes: dict[str, str | None]
) -> None:
    assert opened(make_settings, time_) is not None
    assert opened(make_settings, time_, **changes) is None  # type: ignore[arg-type]  # ca_file is a str


def test_a_configuration_file_is_left_to_botocore(
    make_settings: MakeSettings, time_: Time, no_configuration: Path
) -> None:
    assert opened(make_settings, time_) is not None
    (no_configuration / ".aws").mkdir()
    (no_configuration / ".aws" / "config").write_text("[default]\nuse_fips_endpoint = true\n")
    assert opened(make_settings, time_) is None
    assert opened(make_settings, time_, AWS_CONFIG_FILE="/nowhere") is not None


@pytest.mark.usefixtures("no_configuration")
def test_an_empty_variable_says_nothing(make_settings: MakeSettings, time_: Time) -> None:
    assert opened(make_settings, time_, **dict.fromkeys(ONLY_BOTOCORE, "")) is not None


@pytest.mark.usefixtures("no_configuration")
def test_a_ca_of_hankos_does_not_matter_without_tls(make_settings: MakeSettings, time_: Time) -> None:
    changes = {"ca_file": "/opt/hanko-ca.pem", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert opened(make_settings, time_, **changes) is not None


# --- the connection


@pytest.fixture
def reader(aws: Aws, make_settings: MakeSettings, time_: Time) -> Iterator[SignedReader]:
    with aws.over_http() as url, closing(signed_reader(url, make_settings(), time_.clock)) as opened_reader:
        yield opened_reader


def test_one_connection_serves_until_it_has_been_idle(reader: SignedReader, aws: Aws, time_: Time) -> None:
    for seconds, connections in ((0, 1), (29.5, 1), (30, 2), (1, 2)):
        time_.advance(seconds)
        answer = reader.read(["session#1"])
        assert isinstance(answer, dict)
        assert answer["Responses"] == {TABLE: []}
        assert aws.connections == connections


def found(*issued_until: int) -> bytes:
    items = [{"subject": {"S": "session#1"}, "issued_until": {"N": str(number)}} for number in issued_until]
    return whole(json.dumps({"Responses": {TABLE: items}, "UnprocessedKeys": {}}))


NOTHING, REVOKED = found(), found(1_800_000_000)


@pytest.mark.parametrize(
    ("at_once", "later", "to_the_next"),
    [(NOTHING * 2, b"", b""), (NOTHING, NOTHING, b""), (NOTHING, b"", NOTHING + REVOKED)],
)
def test_an_answer_too_many_is_not_the_answer_to_the_next_question(
    make_settings: MakeSettings, time_: Time, at_once: bytes, later: bytes, to_the_next: bytes
) -> None:
    """An empty one names no session: what may be the answer to another question is asked again, elsewhere."""
    is_read, is_sent = threading.Event(), threading.Event()

    def faulty(script: Script, connection: socket.socket) -> None:
        script.is_asked(connection)
        connection.sendall(at_once)
        is_read.wait(HANG_GUARD_SECONDS)
        connection.sendall(later)
        is_sent.set()
        if script.is_asked(connection):
            connection.sendall(to_the_next)

    script = Script(faulty, saying(REVOKED))
    with serving(script) as address, closing(signed_reader(f"http://{address}", make_settings(), time_.clock)) as table:
        assert table.read(["session#1"]) == parse_object(NOTHING.partition(b"\r\n\r\n")[2])
        is_read.set()
        assert is_sent.wait(HANG_GUARD_SECONDS)
        assert table.read(["session#1"]) == parse_object(REVOKED.partition(b"\r\n\r\n")[2])
    assert script.connections == 2


@pytest.fixture
def heads() -> list[str]:
    return []


@pytest.fixture
def address(heads: list[str]) -> Iterator[str]:
    """Where somebody answers `{}`, and keeps the heads of the requests."""

    def handle(connection: socket.socket) -> None:
        heads.append(read_head(connection).partition("\r\n\r\n")[0])
        connection.sendall(whole("{}"))

    with serving(handle) as served:
        yield served


@pytest.mark.usefixtures("no_configuration")
def test_temporary_credentials_are_sent_with_their_token(
    make_settings: MakeSettings, time_: Time, address: str, heads: list[str]
) -> None:
    reader = opened(make_settings, time_, AWS_ENDPOINT_URL=f"http://{address}")
    assert reader is not None
    with closing(reader):
        reader.read(["session#1"])
    assert "\r\nX-Amz-Security-Token: token\r\n" in heads[0]
    assert "Credential=AKIDEXAMPLE/" in heads[0]


def test_a_read_is_one_attempt(make_settings: MakeSettings, time_: Time) -> None:
    """RevocationCheck makes the others."""
    script = Script(*[saying(then=resetting)] * 9)
    with serving(script) as served, closing(signed_reader(f"http://{served}", make_settings(), time_.clock)) as one:
        with pytest.raises(ReadFailed):
            one.read(["session#1"])
        assert script.connections == 1


def test_a_read_may_take_as_long_as_one_of_botocores() -> None:
    assert signed.ATTEMPT_SECONDS == table.CONNECT_SECONDS + table.READ_SECONDS


def test_a_request_as_a_whole(make_settings: MakeSettings, address: str, heads: list[str]) -> None:
    clock = Clock(wall=lambda: 1_800_000_000.0, monotonic=lambda: 0.0)
    with closing(signed_reader(f"http://{address}", make_settings(), clock)) as one:
        assert one.read(["session#1"]) == {}
    lines = heads[0].split("\r\n")
    scope = "Credential=test/20270115/eu-west-1/dynamodb/aws4_request"
    names = "SignedHeaders=content-type;host;x-amz-date;x-amz-target"
    assert [line for line in lines if not line.startswith("Authorization: ")] == [
        "POST / HTTP/1.1",
        f"Host: {address}",
        "Content-Type: application/x-amz-json-1.0",
        "X-Amz-Target: DynamoDB_20120810.BatchGetItem",
        "X-Amz-Date: 20270115T080000Z",
        "Accept-Encoding: identity",
        f"User-Agent: hanko-authorizer/{__version__}",
        "Content-Length: 98",
    ]
    assert f"Authorization: AWS4-HMAC-SHA256 {scope}, {names}, Signature=" in heads[0]


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}', "throttled"),
        (400, b'{"__type":"ThrottlingException"}', "throttled"),
        (400, b'{"__type":"RequestLimitExceeded"}', "throttled"),
        (400, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}', "denied"),
        (400, b'{"__type":1}', "refused"),
        (400, b"<html>", "refused"),
        (400, b"[" * 100_000, "refused"),
        (499, b"{}", "refused"),
        (500, b"{}", "unavailable"),
        (301, b"", "refused"),
    ],
)
def test_an_error_has_its_word(status: int, body: bytes, failure: str, make_settings: MakeSettings) -> None:
    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
    with (
        serving(answering(answer)) as address,
        closing(signed_reader(f"http://{address}", make_settings(), Clock())) as one,
        pytest.raises(ReadFailed) as caught,
    ):
        one.read(["session#1"])
    assert (caught.value.failure, str(caught.value)) == (failure, failure)


def test_an_address_where_nobody_listens_is_a_failed_read(make_settings: MakeSettings, time_: Time) -> None:
    nobody = signed_reader("http://127.0.0.1:9", make_settings(), time_.clock)
    with closing(nobody), pytest.raises(ReadFailed) as caught:
        nobody.read(["session#1"])
    assert caught.value.failure == "connection"
