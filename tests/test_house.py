"""What the house promises and no tool checks: who imports whom, and what a cold start loads."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "authorizer").rglob("*.py"))
CODE = ("authorizer", "examples", "local", "benchmarks")

# Who may import whom inside authorizer/: an import that is not here is a design decision, with a commit of its own.
# "authorizer" itself is the version.
IMPORTS: dict[str, set[str]] = {
    "authorizer": set(),
    "authorizer.assembly": {
        "config",
        "decision",
        "errors",
        "handler",
        "hanko.bundled",
        "hanko.failure",
        "hanko.keys",
        "hanko.sessions",
        "hanko.tokens",
        "revocation.check",
        "revocation.signed",
        "revocation.table",
        "rules.source",
        "startup",
        "telemetry",
    },
    "authorizer.bounded": set(),
    "authorizer.clock": set(),
    "authorizer.config": {"errors", "mistakes", "setting_values"},
    "authorizer.context": {"model", "setting_values"},
    "authorizer.credentials": {"config", "errors", "model"},
    "authorizer.decision": {
        "reuse",
        "config",
        "context",
        "credentials",
        "errors",
        "hanko.tokens",
        "model",
        "rules.source",
    },
    "authorizer.emf": {"errors"},
    "authorizer.errors": set(),
    "authorizer.handler": {
        "config",
        "decision",
        "errors",
        "gateway",
        "gateway.event",
        "gateway.raised",
        "hanko.keys",
        "hanko.tokens",
        "model",
        "rules.source",
        "telemetry",
    },
    "authorizer.lambda_function": {"assembly", "startup"},
    "authorizer.mistakes": {"errors"},
    "authorizer.model": {"errors"},
    "authorizer.setting_values": set(),
    "authorizer.reuse": {"config", "errors", "model"},
    "authorizer.startup": {
        "clock",
        "config",
        "errors",
        "hanko.client",
        "hanko.fetch",
        "hanko.tcp",
        "setting_values",
        "telemetry",
    },
    "authorizer.sampling": {"emf"},
    "authorizer.telemetry": {"", "config", "emf", "errors", "hanko.keys", "model", "sampling"},
    "authorizer.verdicts": {"bounded", "clock", "model"},
    "authorizer.webhook_function": {"revocation.receiver", "startup"},
    "authorizer.gateway": {
        "config",
        "errors",
        "gateway.appsync",
        "gateway.appsync_events",
        "gateway.http_api",
        "gateway.raised",
        "gateway.rest_api",
        "gateway.websocket_api",
        "model",
    },
    "authorizer.gateway.appsync": {"errors", "gateway.event", "model"},
    "authorizer.gateway.appsync_events": {"errors", "gateway.appsync", "gateway.event", "model"},
    "authorizer.gateway.event": {"gateway.iam", "model"},
    "authorizer.gateway.http_api": {"config", "gateway.event", "gateway.iam", "model"},
    "authorizer.gateway.iam": {"errors", "model"},
    "authorizer.gateway.raised": set(),
    "authorizer.gateway.rest_api": {"errors", "gateway.event", "gateway.iam", "gateway.raised", "model"},
    "authorizer.gateway.websocket_api": {"gateway.event", "gateway.iam", "model"},
    "authorizer.hanko": set(),
    "authorizer.hanko.bundled": {
        "clock",
        "config",
        "errors",
        "hanko.jwk",
        "hanko.keys",
        "hanko.strict_json",
    },
    "authorizer.hanko.client": {"", "clock", "config", "hanko.connection", "hanko.fetch", "hanko.tcp"},
    "authorizer.hanko.connection": {"config", "hanko.failure", "hanko.http1", "hanko.tcp", "setting_values"},
    "authorizer.hanko.cooldown": {"bounded", "clock"},
    "authorizer.hanko.failure": set(),
    "authorizer.hanko.fetch": {"clock", "hanko.connection", "hanko.failure", "hanko.http1", "hanko.tcp"},
    "authorizer.hanko.http1": set(),
    "authorizer.hanko.jwk": {"hanko.strict_json"},
    "authorizer.hanko.jws": {"clock", "config", "errors", "hanko.jwk", "hanko.strict_json"},
    "authorizer.hanko.keys": {
        "clock",
        "config",
        "errors",
        "hanko.client",
        "hanko.connection",
        "hanko.cooldown",
        "hanko.failure",
        "hanko.fetch",
        "hanko.jwk",
    },
    "authorizer.hanko.sessions": {
        "clock",
        "config",
        "errors",
        "hanko.client",
        "hanko.connection",
        "hanko.cooldown",
        "hanko.failure",
        "hanko.fetch",
        "hanko.strict_json",
        "model",
        "verdicts",
    },
    "authorizer.hanko.strict_json": set(),
    "authorizer.hanko.tcp": {"setting_values"},
    "authorizer.hanko.tokens": {"clock", "config", "errors", "hanko.jws", "model"},
    "authorizer.middleware": {"middleware.authenticator", "middleware.refused", "middleware.session"},
    "authorizer.middleware.asgi": {
        "errors",
        "middleware.authenticator",
        "middleware.guard",
        "middleware.incoming",
        "middleware.refused",
    },
    "authorizer.middleware.authenticator": {
        "clock",
        "errors",
        "middleware.behind",
        "middleware.engine",
        "middleware.incoming",
        "middleware.refused",
        "middleware.session",
    },
    "authorizer.middleware.behind": {"errors", "middleware.incoming", "middleware.session", "model"},
    "authorizer.middleware.django": {
        "middleware.asgi",
        "middleware.guard",
        "middleware.incoming",
        "middleware.refused",
        "middleware.wsgi",
    },
    "authorizer.middleware.engine": {
        "clock",
        "config",
        "decision",
        "errors",
        "hanko.tokens",
        "middleware.incoming",
        "middleware.refused",
        "middleware.session",
        "middleware.shared",
        "model",
        "rules.routes",
        "rules.source",
    },
    "authorizer.middleware.fastapi": {
        "errors",
        "middleware.asgi",
        "middleware.authenticator",
        "middleware.guard",
        "middleware.refused",
        "middleware.session",
    },
    "authorizer.middleware.flask": {
        "middleware.authenticator",
        "middleware.guard",
        "middleware.refused",
        "middleware.wsgi",
    },
    "authorizer.middleware.guard": {
        "errors",
        "middleware.authenticator",
        "middleware.incoming",
        "middleware.refused",
        "middleware.session",
        "rules.routes",
    },
    "authorizer.middleware.incoming": set(),
    "authorizer.middleware.powertools": {
        "middleware.authenticator",
        "middleware.guard",
        "middleware.incoming",
        "middleware.refused",
    },
    "authorizer.middleware.refused": {"errors"},
    "authorizer.middleware.session": {"model"},
    "authorizer.middleware.shared": {
        "clock",
        "config",
        "errors",
        "hanko.client",
        "hanko.keys",
        "hanko.sessions",
        "model",
    },
    "authorizer.middleware.wsgi": {
        "middleware.authenticator",
        "middleware.guard",
        "middleware.incoming",
        "middleware.refused",
    },
    "authorizer.revocation": set(),
    "authorizer.revocation.check": {
        "clock",
        "config",
        "errors",
        "model",
        "revocation.reader",
        "revocation.subject",
        "verdicts",
    },
    "authorizer.revocation.entry": {"hanko.strict_json"},
    "authorizer.revocation.function_url": {"errors", "gateway.event"},
    "authorizer.revocation.outline": {"hanko.strict_json"},
    "authorizer.revocation.receiver": {
        "clock",
        "errors",
        "hanko.keys",
        "revocation.entry",
        "revocation.function_url",
        "revocation.table",
        "revocation.topic",
        "revocation.webhook",
        "revocation.writer",
        "startup",
        "telemetry",
    },
    "authorizer.revocation.reader": set(),
    "authorizer.revocation.signed": {
        "",
        "clock",
        "config",
        "hanko.client",
        "hanko.connection",
        "hanko.failure",
        "hanko.fetch",
        "hanko.strict_json",
        "revocation.reader",
        "revocation.sigv4",
        "setting_values",
    },
    "authorizer.revocation.sigv4": set(),
    "authorizer.revocation.subject": set(),
    "authorizer.revocation.table": {"hanko.strict_json", "revocation.reader"},
    "authorizer.revocation.topic": {"clock", "revocation.entry", "revocation.reader", "revocation.table"},
    "authorizer.revocation.webhook": {
        "clock",
        "config",
        "errors",
        "hanko.jws",
        "hanko.strict_json",
        "revocation.entry",
        "revocation.outline",
        "revocation.subject",
    },
    "authorizer.revocation.writer": {"clock", "errors", "revocation.entry", "revocation.reader", "revocation.table"},
    "authorizer.rules": set(),
    "authorizer.rules.channels": set(),
    "authorizer.rules.evaluation": {"errors", "model", "rules.channels", "rules.routes"},
    "authorizer.rules.parser": {
        "errors",
        "mistakes",
        "model",
        "rules.channels",
        "rules.evaluation",
        "rules.routes",
    },
    "authorizer.rules.routes": {"model"},
    "authorizer.rules.source": {"clock", "config", "errors", "model", "rules.evaluation", "rules.parser"},
}
# What a cold start may load from outside the standard library.
COLD_START_PACKAGES = {
    *("_cffi_backend", "_openssl", "cryptography"),
}
# What costs milliseconds and nothing here needs.
COLD_START_WITHOUT = {
    "tomllib",
    "authorizer.rules.channels",
    "authorizer.rules.routes",
    "authorizer.rules.evaluation",
    "authorizer.rules.parser",
    "authorizer.hanko.bundled",
    "authorizer.hanko.sessions",
    "asyncio",
    "aws_lambda_powertools",
    "boto3",
    "botocore.session",
    "email.parser",
    "http.client",
    "multiprocessing",
    "sqlite3",
    "unittest",
    "xml",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_by(path: Path) -> set[str]:
    """Our own modules that a file imports, without the leading "authorizer."."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), names=aliases):
                modules = {f"{module}.{alias.name}" for alias in aliases}
                names |= {name if is_module(name) else module for name in modules}
    return {name.removeprefix("authorizer").lstrip(".") for name in names if name.split(".")[0] == "authorizer"}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def test_every_module_is_in_the_import_table() -> None:
    assert {module_name(path) for path in SOURCES} == set(IMPORTS)


def test_every_module_has_its_row_in_docs_architecture() -> None:
    rows = re.findall(r"^\| \[`([\w/]+\.py)`\]", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    modules = [path for path in SOURCES if len(path.read_text().splitlines()) > 3]  # an __init__.py may be bare
    assert sorted(rows) == sorted(str(path.relative_to(ROOT / "authorizer")) for path in modules)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_are_those_of_the_table(path: Path) -> None:
    assert imported_by(path) == IMPORTS[module_name(path)]


def test_the_two_sides_do_not_know_each_other() -> None:
    for module, imports in IMPORTS.items():
        other = {"gateway": "hanko", "hanko": "gateway"}.get(module.split(".")[1] if "." in module else "")
        assert other is None or not any(name.split(".")[0] == other for name in imports), module


def test_powertools_reads_parameters_and_only_entry_points_know_telemetry() -> None:
    powertools = {module_name(path) for path in SOURCES if "aws_lambda_powertools" in path.read_text()}
    assert powertools == {"authorizer.rules.source", "authorizer.middleware.powertools"}
    assert {module for module, imports in IMPORTS.items() if "telemetry" in imports} == {
        "authorizer.assembly",
        "authorizer.handler",
        "authorizer.revocation.receiver",
        "authorizer.startup",
    }


FRAMEWORKS = ("fastapi", "starlette", "flask", "django", "aws_lambda_powertools.event_handler")


def test_each_framework_is_imported_by_its_own_module_and_the_library_by_nothing_else() -> None:
    for path in SOURCES:
        imported = re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE)
        own = {"fastapi": {"fastapi", "starlette"}, "powertools": {"aws_lambda_powertools.event_handler"}}
        allowed = own.get(path.stem, {path.stem}) if path.parent.name == "middleware" else set()
        found = {framework for framework in FRAMEWORKS for name in imported if f"{name}.".startswith(f"{framework}.")}
        assert found <= allowed, path
    users = {module for module, imports in IMPORTS.items() if any(name.startswith("middleware") for name in imports)}
    assert all(user.startswith("authorizer.middleware") for user in users)


def test_who_knows_botocore_and_that_nobody_knows_boto3() -> None:
    imports = {
        module_name(path): re.findall(r"^\s*(?:from|import) (boto\w+)", path.read_text(), re.M) for path in SOURCES
    }
    assert {name: set(found) for name, found in imports.items() if found} == {
        "authorizer.revocation.table": {"botocore"},
        "authorizer.revocation.writer": {"botocore"},
        "authorizer.rules.source": {"botocore"},
    }


def loaded_by(module: str, **environ: str) -> set[str]:
    """Every module that a cold start of this entry point loads."""
    program = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    # -I keeps what the developer's own site-packages start by themselves from counting, sys.path must be given then.
    path = [str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {path!r}; {program}"],
        env={"HANKO_API_URL": "http://127.0.0.1:9", "HANKO_AUDIENCE": "localhost", **environ},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(json.loads(run.stdout))


def test_a_cold_start_loads_nothing_it_does_not_need() -> None:
    loaded = loaded_by("authorizer.lambda_function")
    packages = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"authorizer", "__main__"}
    assert packages == COLD_START_PACKAGES
    assert not loaded & COLD_START_WITHOUT


def test_what_is_switched_off_is_not_even_loaded() -> None:
    source = (ROOT / "authorizer" / "assembly.py").read_text()
    assert not re.search(r"^(from|import) authorizer\.hanko\.sessions", source, re.MULTILINE)
    assert "import authorizer.hanko.sessions" not in source


@pytest.mark.parametrize(
    ("module", "credentials", "botocore"),
    [
        ("authorizer.lambda_function", {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}, False),
        ("authorizer.lambda_function", {}, True),
        ("authorizer.webhook_function", {}, True),
    ],
)
def test_a_cold_start_with_a_table_loads_botocore_only_where_it_must_and_never_boto3(
    module: str, credentials: dict[str, str], *, botocore: bool
) -> None:
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters"
    table = {"HANKO_REVOCATION_TABLE": "revoked-sessions", "HANKO_REVOCATION_QUEUE_URL": queue, "HOME": "/nowhere"}
    loaded = loaded_by(module, AWS_DEFAULT_REGION="eu-west-1", **table, **credentials)
    assert ("botocore" in loaded) is botocore
    assert "boto3" not in loaded
    assert "dataclasses" not in loaded or botocore or sys.version_info >= (3, 14)  # whose traceback module loads it


def test_functions_fit_on_a_screen() -> None:
    long = {}
    for path in [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
                if lines > 25:
                    long[f"{path.relative_to(ROOT)}: {node.name}"] = lines
    assert long == {}


def test_every_exception_to_a_rule_carries_its_reason() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    bare = re.compile(r"# (?:ruff: )?(?:noqa(?:: [A-Z0-9, ]+)?|type: ignore(?:\[[a-z, -]+\])?)\s*$", re.MULTILINE)
    assert {str(path.relative_to(ROOT)) for path in files if bare.search(path.read_text())} == set()


def test_the_environment_of_this_process_is_not_read_by_anyone_but_the_entry_point() -> None:
    readers = {module_name(path) for path in SOURCES if re.search(r"\bos\.(environ|getenv)", path.read_text())}
    assert readers == {
        "authorizer.lambda_function",
        "authorizer.webhook_function",
        "authorizer.middleware.authenticator",
    }
    assert "HANKO_API_URL" not in os.environ


# --- no circles, the imports for types alone included


def modules_of(folder: str) -> dict[str, Path]:
    return {module_name(path): path for path in sorted((ROOT / folder).rglob("*.py"))}


def import_graph(folder: str) -> dict[str, set[str]]:
    """Module → the modules of the same folder that it imports, wherever in the file."""
    modules = modules_of(folder)
    graph = {}
    for module, path in modules.items():
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=aliases):
                    imported |= {alias.name for alias in aliases}
                case ast.ImportFrom(module=str(package), names=aliases, level=0):
                    names = {f"{package}.{alias.name}" for alias in aliases}
                    imported |= {name if name in modules else package for name in names}
        graph[module] = imported & modules.keys() - {module}
    return graph


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The nodes that are in a circle or behind one; [] if there is none."""
    graph = dict(graph)
    while free := [node for node, targets in graph.items() if not targets & graph.keys()]:
        for node in free:
            del graph[node]
    return sorted(graph)


@pytest.mark.parametrize("folder", ["authorizer", "local", "benchmarks"])
def test_no_circle_of_files(folder: str) -> None:
    assert circle_in(import_graph(folder)) == []


@pytest.mark.parametrize("folder", ["authorizer", "local"])
def test_no_circle_of_folders(folder: str) -> None:
    """The wings of a folder; the files that lie in it directly are no wing."""
    wings: dict[str, set[str]] = {}
    for module, imported in import_graph(folder).items():
        wing = wing_of(module)
        wings.setdefault(wing, set()).update({wing_of(name) for name in imported} - {wing, ""})
    wings.pop("", None)
    assert circle_in(wings) == []


def wing_of(module: str) -> str:
    """`hanko` of `authorizer.hanko.keys`, "" of `authorizer.model`."""
    parts = module.split(".")
    return parts[1] if ROOT.joinpath(*parts[:2]).is_dir() and len(parts) > 1 else ""


def test_the_stand_in_knows_nothing_of_the_commands_around_it() -> None:
    known = {name for module, names in import_graph("local").items() if wing_of(module) == "hanko" for name in names}
    assert {name for name in known if wing_of(name) != "hanko"} == set()


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


# --- events are data


def test_events_are_json_and_nothing_else() -> None:
    assert {path.suffix for path in (ROOT / "events").iterdir()} == {".json"}
