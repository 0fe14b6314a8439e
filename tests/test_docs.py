"""Documents against code: tables, links, commands, widths, and the README's limits."""

import functools
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # it ships no types

from authorizer.config import table
from authorizer.errors import Reason
from local.hanko import RemoteHanko, StandInHanko

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "findings").glob("*.md")])
MAX_WIDTH = 120
MAX_README_LINES = 150
MAX_README_WORDS = 1500
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:hanko-authorizer:live"


class Line(NamedTuple):
    """One line of a document. `block` is the info string of the code block that it is in, None outside."""

    number: int
    text: str
    block: str | None


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def lines_of(path: Path) -> tuple[Line, ...]:
    lines, block = [], None
    for number, text in enumerate(path.read_text().splitlines(), 1):
        fence = re.match(r"\s*```(.*)", text)
        if fence and block is not None:
            block = None
        elif fence:
            block = fence[1].strip()
        else:
            lines.append(Line(number, text, block))
    return tuple(lines)


def prose_of(path: Path) -> str:
    return "\n".join(line.text for line in lines_of(path) if line.block is None)


def shell_lines(path: Path) -> Iterator[Line]:
    """Each command in a shell block, with its continuation lines joined."""
    pending = ""
    for line in lines_of(path):
        if line.block is not None and line.block.split()[:1] == ["sh"]:
            pending += line.text
            if pending.endswith("\\"):
                pending = pending.removesuffix("\\")
            else:
                yield line._replace(text=pending.strip())
                pending = ""


every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


# --- form


def test_the_readme_fits_its_limits() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= MAX_README_LINES
    assert len(text.split()) <= MAX_README_WORDS


@every_document
def test_no_line_is_too_wide(path: Path) -> None:
    """Outside tables and code."""
    wide = [line.number for line in lines_of(path) if line.block is None and len(line.text) > MAX_WIDTH]
    assert [number for number in wide if not path.read_text().splitlines()[number - 1].lstrip().startswith("|")] == []


@every_document
def test_every_code_block_says_its_language(path: Path) -> None:
    assert [line.number for line in lines_of(path) if line.block == ""] == []


# --- links


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(path), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts}


@every_document
def test_links_lead_to_files_and_headings(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        targets = re.findall(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)", prose_of(path))
        waiting += [(path.parent / target).resolve() for target in targets if not target.startswith("https://")]
    assert {name_of(path) for path in DOCS.rglob("*.md")} - {name_of(path) for path in reached} == set()


# --- commands


@every_document
def test_every_shell_block_says_who_runs_it(path: Path) -> None:
    """See "Documents" in CONTRIBUTING.md. A block that begins with `bash` or `console` would hide from that."""
    blocks = {line.block for line in lines_of(path) if line.block is not None}
    shells = {block for block in blocks if block.split()[:1] in (["sh"], ["bash"], ["shell"], ["console"])}
    assert shells <= {"sh test", "sh long", "sh aws"}


@every_document
def test_the_make_targets_that_are_named_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_code = [line.text for line in lines_of(path) if line.block is not None]
    spans = re.findall(r"`([^`]+)`", prose_of(path))
    named = [found for text in [*in_code, *spans] for found in re.findall(r"(?:^|&& )make ([a-z][a-z-]*)", text)]
    assert set(named) - targets == set()


BY_HAND = "a person, before a release"
SAM_LOCAL = "tests/docker/test_sam_local.py"
RUN_ELSEWHERE = {  # who runs the commands of the blocks that begin with `sh long`, or what is behind them
    "make setup": ".ci/run",
    "make check": ".ci/run",
    "make demo": "tests/end_to_end/test_demo.py",
    "make local": "tests/browser/conftest.py",  # the same local AWS, deployment and page
    "make local EMPTY=1": "tests/end_to_end/test_first_hour.py",
    "make hanko": "tests/test_docs.py",
    "make package": "tests/local/test_package.py",
    "sha256sum --check --strict SHA256SUMS": "tests/local/test_package.py",
    "make lock": "tests/local/test_lock.py",
    "make lock UPGRADE=1": "tests/local/test_lock.py",
    "make invoke EVENT=http_v2 SAM=1": SAM_LOCAL,
    "make sam": SAM_LOCAL,
    "make sam EXAMPLE=http-api": SAM_LOCAL,
    ".venv/bin/python -m local.sign --sam rest_token | .venv/bin/sam local invoke AuthorizerFunction -e -": SAM_LOCAL,
    ".venv/bin/sam local invoke -e events/rest_token.json": SAM_LOCAL,
    ".venv/bin/sam local start-api": SAM_LOCAL,
    'curl -H "Authorization: Bearer $(.venv/bin/python -m local.sign --sam --token-only)" http://127.0.0.1:3000/me': (
        SAM_LOCAL
    ),
    "make bench": BY_HAND,  # eight minutes, and a quiet machine
    "make bench ONLY=cold": BY_HAND,
    "make bench ONLY=scale": BY_HAND,
}


def commands_in(block: str) -> list[str]:
    found = [line.text for path in DOCUMENTS for line in shell_lines(path) if line.block == block]
    return sorted({command for line in found if (command := line.partition(" #")[0].strip())})


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandInHanko]:
    """What `make hanko` serves in another terminal."""
    with StandInHanko() as hanko:
        yield hanko


def readers_environment() -> dict[str, str]:
    """Without what `make test` and pytest have set for themselves."""
    ours = ("COV_", "COVERAGE_", "PYTEST_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.mark.parametrize("command", commands_in("sh test"))
def test_the_command_works(command: str, stand_in: StandInHanko) -> None:
    """Run as a reader would, in the checkout; `PORT` is where the stand-in listens here."""
    environment = readers_environment() | {"PORT": str(stand_in.port)}
    run = subprocess.run(  # noqa: S602 - a command of our own documents
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_long_command_is_run_by_somebody() -> None:
    assert commands_in("sh long") == sorted(RUN_ELSEWHERE)
    assert [path for path in RUN_ELSEWHERE.values() if path != BY_HAND and not (ROOT / path).exists()] == []


def test_make_hanko_serves_until_ctrl_c() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = ["make", "hanko", f"PORT={port}"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=readers_environment(), stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert process.stdout is not None
    assert str(port) in process.stdout.readline()
    assert RemoteHanko(f"http://127.0.0.1:{port}").jwks["keys"]
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C sends: to make and to what it started
    process.communicate(timeout=60)
    with pytest.raises(ConnectionError):
        _ = RemoteHanko(f"http://127.0.0.1:{port}").jwks


# --- tables


def test_every_reason_has_its_row() -> None:
    """Word, whose business and what to do are those of the table in errors.py; what it means is said here alone."""
    reasons = (DOCS / "reasons.md").read_text().split("| Reason |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| [^|]+ \| (.+) \|$", reasons, re.MULTILINE)
    table = [(reason.value, reason.fault.value, reason.what_to_do) for reason in Reason if reason is not Reason.ALLOWED]
    assert sorted(rows) == sorted(table)


def numbered_checks() -> list[tuple[int, str]]:
    """Number and module of each check of SECURITY.md."""
    rows = re.findall(
        r"^\| (\d+) \|.+\]\((authorizer/[\w/]+\.py)\) \|", (ROOT / "SECURITY.md").read_text(), re.MULTILINE
    )
    return [(int(number), module) for number, module in rows]


def test_the_checks_are_numbered_in_order() -> None:
    assert [number for number, _ in numbered_checks()] == list(range(1, 16))


@pytest.mark.parametrize(("number", "module"), numbered_checks())
def test_the_number_of_a_check_stands_in_its_module(number: int, module: str) -> None:
    assert re.search(rf"\bcheck {number}\b", (ROOT / module).read_text(), re.IGNORECASE)


def test_every_decision_is_in_the_list_and_says_what_would_change_our_mind() -> None:
    pages = [path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md"]
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in pages)
    for path in pages:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert {"Why", "What would change our mind"} <= set(headings), path.name


@every_document
def test_the_tests_that_are_named_exist(path: Path) -> None:
    written = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)(…?)`", prose_of(path))
    assert [name for name, cut in named if f"def {name}" + ("" if cut else "(") not in written] == []


def test_the_files_that_the_code_names_exist() -> None:
    """In docstrings and comments, where a move leaves old names behind."""
    sources = [*(ROOT / "authorizer").rglob("*.py"), *(ROOT / "template.yaml", ROOT / "rules.toml")]
    known = {
        path.name for folder in ("authorizer", "local", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    }
    known |= {path.name for path in DOCUMENTS}
    named = {(path.name, name) for path in sources for name in re.findall(r"[\w-]+\.(?:py|md)\b", path.read_text())}
    assert {(where, name) for where, name in named if name not in known} == set()


def test_the_documents_show_the_rules_of_the_examples() -> None:
    assert f"```toml\n{(ROOT / 'examples' / 'rules.toml').read_text()}```" in (DOCS / "rules.md").read_text()


# --- the README's ten lines


class ManagedPolicies:
    """The ARNs of AWS's policies, which SAM asks IAM for."""

    def load(self) -> dict[str, str]:
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


def attached() -> dict[str, Any]:
    """The README's template, as SAM transforms it."""
    blocks = re.findall(r"```yaml\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = blocks
    assert len(block.splitlines()) <= 10

    class Loader(yaml.SafeLoader):
        """CloudFormation's short form of Ref."""

    Loader.add_constructor("!Ref", lambda loader, node: {"Ref": loader.construct_scalar(node)})  # type: ignore[arg-type]  # a scalar
    template = yaml.load(block, Loader)  # noqa: S506 - a SafeLoader, with "!Ref" besides
    route = {"Type": "Api", "Properties": {"RestApiId": {"Ref": "Api"}, "Path": "/me", "Method": "get"}}
    backend = {"Handler": "app.handler", "Runtime": "python3.13", "CodeUri": "s3://bucket/key", "Events": {"Me": route}}
    template["Resources"]["Backend"] = {"Type": "AWS::Serverless::Function", "Properties": backend}
    transformed: dict[str, Any] = transform(template, {"AuthorizerArn": ARN}, ManagedPolicies())
    return transformed


def test_the_readmes_ten_lines_attach_the_authorizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission is there, the answer is cached for 300 s, and the authorizer guards the route."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    resources = attached()["Resources"]
    permissions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Permission"]
    (permission,) = [one for one in permissions if one["FunctionName"] == ARN]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    (body,) = [one["Properties"]["Body"] for one in resources.values() if one["Type"] == "AWS::ApiGateway::RestApi"]
    authorizer = body["securityDefinitions"]["Hanko"]["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("token", 300)
    assert body["paths"]["/me"]["get"]["security"] == [{"Hanko": []}]


# --- settings: code, template and docs/settings.md say the same


TABLE = {variables[0]: entry for variables, entry in table().items() if variables[0].startswith("HANKO_")}


def settings_rows() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(HANKO_[A-Z_]+)` \|(.+)\|$", (DOCS / "settings.md").read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in rows}


class Template(yaml.SafeLoader):
    """CloudFormation's short forms, read as plain values."""


Template.add_multi_constructor("!", lambda loader, _, node: getattr(loader, f"construct_{node.id}")(node))
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), Template)  # noqa: S506 - a SafeLoader, with "!Ref" as text


# What no parameter says: EnableRevocation makes the table and the queue, and the template hands them on.
MADE_BY_THE_TEMPLATE: dict[str, dict[str, object]] = {
    "HANKO_REVOCATION_TABLE": {
        "AuthorizerFunction": ["HasRevocation", "RevocationTable", ""],
        "WebhookFunction": "RevocationTable",
    },
    "HANKO_REVOCATION_QUEUE_URL": {"WebhookFunction": "DeadLetterQueue"},
    "HANKO_REVOCATION_TOPIC_ARN": {"WebhookFunction": ["HasRevocationTopic", "RevocationTopic", ""]},
}
OF_THE_LIBRARY = {"HANKO_BEHIND", "HANKO_RULES_FILE"}  # the Lambda functions do not know them: docs/library.md
NO_PARAMETERS = {  # a name of API Gateway's, the namespace of our metrics, classes of the library
    *(
        "EnableSimpleResponses",
        "EnableFunctionDefaultPermissions",  # SAM's
        "HankoAuthorizer",
        "HankoFaults",
        "HankoAuthenticator",
        "HankoDependency",
        "HankoMiddleware",
    ),
}
# What is fixed for the receiver, whatever the parameter says for the authorizer: see there, and test_template.py.
FIXED_FOR_THE_RECEIVER = {"HANKO_KEYS_COOLDOWN_SECONDS": "2"}


def parameter_of(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def test_the_settings_page_has_exactly_the_settings_that_exist() -> None:
    assert list(settings_rows()) == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_the_settings_page_says_what_a_setting_may_be(name: str) -> None:
    assert settings_rows()[name][1] == TABLE[name].kind.allowed


@pytest.mark.parametrize("name", TABLE)
def test_the_settings_page_says_what_a_setting_is_for(name: str) -> None:
    """It may say more than the entry does."""
    stated = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", settings_rows()[name][2])
    assert stated.startswith(TABLE[name].text)


@pytest.mark.parametrize("name", TABLE)
def test_the_settings_page_and_the_template_say_the_default(name: str) -> None:
    stated = settings_rows()[name][0]
    if name in MADE_BY_THE_TEMPLATE:
        assert stated == "off"
        return
    parameter = TEMPLATE["Parameters"][parameter_of(name)]
    if stated == "required":
        assert "Default" not in parameter
        return
    default = "" if stated in ("off", "empty", "random") else stated.strip("`")
    assert str(parameter["Default"]) == default
    assert TABLE[name].default == default


@pytest.mark.parametrize("name", TABLE)
def test_the_template_hands_every_setting_to_the_function(name: str) -> None:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    functions = {k: one for k, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::Serverless::Function"}
    assert functions.keys() == {"AuthorizerFunction", "WebhookFunction"}
    for function, resource in functions.items():
        of_its_own = resource["Properties"]["Environment"]["Variables"]
        if name in MADE_BY_THE_TEMPLATE:
            assert of_its_own.get(name) == MADE_BY_THE_TEMPLATE[name].get(function), function
        else:
            assert name in shared
            fixed = FIXED_FOR_THE_RECEIVER if function == "WebhookFunction" else {}
            assert of_its_own.get(name) == fixed.get(name), function


@pytest.mark.parametrize(
    "name",
    [name for name in TABLE if re.fullmatch(r"a (whole )?number .* [0-9.]+", TABLE[name].kind.allowed)],
)
def test_the_template_knows_the_ranges(name: str) -> None:
    low, high = re.findall(r"[0-9.]+", TABLE[name].kind.allowed)
    parameter = TEMPLATE["Parameters"][parameter_of(name)]
    assert (str(parameter["MinValue"]), str(parameter["MaxValue"])) == (low, high)


@every_document
def test_the_settings_that_are_named_exist(path: Path) -> None:
    """As variables, and as parameters of the template: one that was renamed lives on in no document."""
    text = path.read_text()
    variables = set(re.findall(r"\bHANKO_[A-Z_]+[A-Z]\b", text))
    parameters = set(re.findall(r"\b((?:Hanko[A-Z]|Enable[A-Z])\w+)\b", text)) - NO_PARAMETERS
    assert variables - set(TABLE) - OF_THE_LIBRARY == set()
    assert parameters - set(TEMPLATE["Parameters"]) == set()


def test_the_outputs_are_those_of_the_template() -> None:
    table = (DOCS / "getting-started.md").read_text().split("| Output |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(TEMPLATE["Outputs"])
