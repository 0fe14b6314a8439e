"""The text of rules.toml → `Rules`. One message tells all mistakes, with their lines.

The message repeats names and patterns of rules, never the value that a claim must have.
"""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar, cast

from authorizer.errors import Reason
from authorizer.mistakes import Mistakes
from authorizer.model import MAX_ANSWER_BYTES, MAX_CONTEXT_BYTES, METHODS
from authorizer.rules.channels import ChannelPattern, parse_pattern
from authorizer.rules.evaluation import MAX_UNMET_RULES_CHARACTERS, STAGE_CHARACTERS, Requirement, Rule, Rules, Scalar
from authorizer.rules.routes import CONNECT, UNUSUAL_PATHS, Route

MAX_PATH_CHARACTERS = 200  # behind the longest stage, a Resource is still below API Gateway's 512 characters
MIN_CONTEXT_BYTES = 1024
MAX_AGE_SECONDS = 31_536_000

# The bytes that an answer needs beside policy and claims, and those of each pattern.
_SKELETON_BYTES = 600 + MAX_UNMET_RULES_CHARACTERS
_ALLOWED_BYTES = STAGE_CHARACTERS + len('"arn:aws-us-gov:execute-api:ap-southeast-1:123456789012:a1b2c3d4e5//", ')
_DENIED_BYTES = STAGE_CHARACTERS + len('"arn:aws-us-gov:execute-api:*:*:a1b2c3d4e5//", ')
_FIELD_BYTES = len(
    '"arn:aws-us-gov:appsync:ap-southeast-1:123456789012:apis/a1b2c3d4e5f6g7h8i9j0k1l2m3/types//fields/", '
)
_UNUSUAL_BYTES = sum(_DENIED_BYTES + len(pattern) for pattern in UNUSUAL_PATHS)
_METHODS_BYTES = sum(_ALLOWED_BYTES + len(f"{method}/*") for method in METHODS)

_HEADING = re.compile(r"^[ \t]*\[\[[ \t]*rule[ \t]*\]\]", re.MULTILINE)
_NAME = re.compile(r"[!#-:<-\[\]-~](?:[ !#-:<-\[\]-~]{0,62}[!#-:<-\[\]-~])?", re.ASCII)  # visible, no " ; or \
_ROUTE = re.compile(rf"(\*|{'|'.join(METHODS)}) (/[A-Za-z0-9._~!$&'()+,=:@/-]*)(\*?)", re.ASCII)
# The keys of a rule beside its name. Below [rule.require] they are a mistake.
_NO_CLAIMS = {"routes", "fields", "channels", "require", "max_age_seconds", "guard_head"}
_FIELD = re.compile(r"[_A-Za-z]\w{0,63}\.[_A-Za-z]\w{0,63}", re.ASCII)

T = TypeVar("T")


def parse_rules(text: str) -> Rules:
    """Parse and check a set of rules.

    Raises `Misconfigured(rules_invalid)`; its text has one line for each mistake, with the line of the file.
    """
    mistakes = Mistakes(Reason.RULES_INVALID, "Wrong rules:")
    document = mistakes.read("no TOML:", _toml, text)
    mistakes.stop()
    rules = _Reader(text, mistakes).rules(document)
    mistakes.stop()
    return rules


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _Reader:
    """Reads a document. The result counts only if there are no mistakes."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._lines = [text.count("\n", 0, heading.start()) + 1 for heading in _HEADING.finditer(text)]

    def rules(self, document: Mapping[str, object]) -> Rules:
        self._know(document, {"default", "allow_unusual_paths", "rule"}, "the file")
        tables = self._read("rule", _tables, document.get("rule", []), "the file") or []
        default = document.get("default", None if tables else "allow")
        default_allows = self._read("default", _default, default, "the file")
        unusual = self._read("allow_unusual_paths", _boolean, document.get("allow_unusual_paths", False), "the file")
        rules = tuple(self._rule(number, table, strict=default == "deny") for number, table in enumerate(tables))
        names = [name for table in tables if isinstance(name := table.get("name"), str)]
        twice = [one for one in dict.fromkeys(names) if names.count(one) > 1]
        self._mistakes.lines += [f"the file: two rules are named {one[:64]!a}" for one in twice]
        room = 0
        if not self._mistakes.lines:
            room = self._read("rule", partial(_context_bytes, rules), default_allows, "the file")
        return Rules(rules, default_allows, unusual, room)

    def _rule(self, number: int, table: Mapping[str, object], *, strict: bool) -> Rule:
        line = f"line {self._lines[number]}" if len(self._lines) > number else f"rule {number + 1}"
        name = table.get("name")
        where = f"{line}, rule {name[:64]!a}" if isinstance(name, str) else line
        self._know(table, {"name", *_NO_CLAIMS}, where)
        rule = Rule(
            self._read("name", _name, name, where),
            self._read("routes", _each(_route), table.get("routes"), where),
            self._read("fields", _each(_field), table.get("fields"), where),
            self._read("require", _requirements, table.get("require"), where),
            self._read("max_age_seconds", _max_age, table.get("max_age_seconds"), where),
            self._read("channels", _each(parse_pattern), table.get("channels"), where),
            self._read("guard_head", _boolean, table.get("guard_head", True), where),
        )
        if not {"routes", "fields", "channels"} & table.keys():
            self._mistakes.lines.append(f"{where}: it guards nothing; it must have routes, fields or channels")
        if not strict and not {"require", "max_age_seconds"} & table.keys() and not _asks_by_channels(rule):
            self._mistakes.lines.append(f"{where}: it asks for nothing; it must have require or max_age_seconds")
        if strict and "fields" in table:
            why = "since AppSync can only be told what to deny"
            self._mistakes.lines.append(f'{where}: fields need default = "allow", {why}')
        return rule

    def _know(self, table: Mapping[str, object], known: set[str], where: str) -> None:
        self._mistakes.lines += [f"{where}: {name[:64]!a} is no key here" for name in table if name not in known]

    def _read(self, key: str, parse: Callable[[object], T], value: object, where: str) -> T:
        return self._mistakes.read(f"{where}: {key}", parse, value)


def _tables(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("must be written as [[rule]]")
    return value


def _default(value: object) -> bool:
    if value not in ("allow", "deny"):
        raise ValueError('must be "allow" or "deny", and is required as soon as there is a rule')
    return value == "allow"


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - all mistakes are ValueErrors here
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError('must be 1 to 64 visible ASCII characters, without ", ; and \\')
    return value


def _each(parse: Callable[[str], T]) -> Callable[[object], tuple[T, ...]]:
    """A parser of lists; an absent list is an empty tuple."""

    def parse_list(value: object) -> tuple[T, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise ValueError("must be a list of texts, and not empty")
        return tuple(map(parse, value))

    return parse_list


def _route(text: str) -> Route:
    if text == CONNECT:
        return Route((CONNECT,), "", open_ended=False)
    match = _ROUTE.fullmatch(text)
    if match is None or len(text) > MAX_PATH_CHARACTERS:
        raise ValueError(
            f"has {text[:64]!a}; it must be $connect or METHOD /path of at most {MAX_PATH_CHARACTERS} characters: "
            "* for every method, * at the end of the path only, no {parameters}, no %, ? or ;"
        )
    method, path, star = match.groups()
    if "//" in path or {".", ".."} & set(path.split("/")):
        raise ValueError(f"has {text[:64]!a}, with an empty or a dot segment")
    return Route(METHODS if method == "*" else (method,), path, open_ended=bool(star))


def _field(text: str) -> str:
    if not _FIELD.fullmatch(text):
        raise ValueError(f"has {text[:64]!a}; it must be Type.field")
    return text


def _asks_by_channels(rule: Rule) -> bool:
    """Whether a rule that names channels alone asks for a claim in one of them; True if they hold a mistake."""
    channels = cast("tuple[ChannelPattern, ...] | None", rule.channels)  # None after a mistake
    only_channels = not rule.routes and not rule.fields
    return only_channels and (channels is None or any(one.claims for one in channels))


def _requirements(value: object) -> tuple[Requirement, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict) or not value:
        raise ValueError("must be a table of claims and values, and not empty")
    return tuple(_requirement(tuple(path.split(".")), values) for path, values in _flat(value))


def _flat(table: Mapping[str, object], above: str = "") -> list[tuple[str, object]]:
    """Dotted paths and their values, however TOML's own dots have nested them; an empty table is a value, no path."""
    flat: list[tuple[str, object]] = []
    for name, value in table.items():
        flat += _flat(value, f"{above}{name}.") if isinstance(value, dict) and value else [(f"{above}{name}", value)]
    return flat


def _requirement(path: tuple[str, ...], value: object) -> Requirement:
    values = tuple(value) if isinstance(value, list) else (value,)
    if path[0] in _NO_CLAIMS or not all(path) or not values or not all(_is_scalar(one) for one in values):
        shown = f"{'.'.join(path)[:64]!a}"
        raise ValueError(
            f"{shown} must be a claim's path with a text, number, boolean, or a list of them, and not empty"
        )
    if path == ("email_verified",):  # what the backend receives under that name
        path = ("email", "is_verified")
    return Requirement(path, cast("tuple[Scalar, ...]", values))


def _is_scalar(value: object) -> bool:
    """An empty text counts as an absent claim, so no claim could be equal to it."""
    return (isinstance(value, str | int) and value != "") or (isinstance(value, float) and math.isfinite(value))


def _max_age(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_AGE_SECONDS:
        raise ValueError(f"must be a whole number of seconds from 1 to {MAX_AGE_SECONDS}")
    return value


def _context_bytes(rules: tuple[Rule, ...], default_allows: object) -> int:
    """The bytes left for the claims in the largest possible answer, whichever rules the caller meets."""
    denied: dict[str, int] = {}
    granted: dict[str, int] = {}
    fields: dict[str, int] = {}
    either, size = 0, MAX_ANSWER_BYTES - MAX_CONTEXT_BYTES
    for rule in rules:
        can_be_unmet = bool(rule.requirements) or rule.max_age_seconds is not None
        denies = {one: _DENIED_BYTES + len(one) for one in rule.guarded.patterns if can_be_unmet}
        grants = {one: _ALLOWED_BYTES + len(one) for one in rule.granted.patterns if not default_allows}
        denied, granted = denied | denies, granted | grants
        either += max(sum(denies.values()), sum(grants.values()))  # the same caller meets a rule or does not
        fields |= {one: _FIELD_BYTES + len(one) for one in rule.fields}
        patterns = min(either, sum(denied.values()) + sum(granted.values())) + _UNUSUAL_BYTES
        size = _SKELETON_BYTES + max(patterns + (_METHODS_BYTES if default_allows else 0), sum(fields.values()))
        if size > MAX_ANSWER_BYTES - MIN_CONTEXT_BYTES:
            raise ValueError(f"{rule.name!a} is one too many: with it, an answer could exceed {MAX_ANSWER_BYTES} bytes")
    return min(MAX_CONTEXT_BYTES, MAX_ANSWER_BYTES - size)
