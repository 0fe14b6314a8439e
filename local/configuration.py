"""One environment of samconfig.toml, read with AWS SAM's own parser: its stack, its region, every parameter's value.

    environment = read_environment("prod")
    environment.values["HankoAudience"]   # the file's value, else the template's default
    environment.mistakes()                # one line each; empty if it may be deployed

SAM accepts parameter_overrides as a table, a list, a string, and a file:// of one of these, and drops without a word
what it does not understand. So the text goes through SAM's own code, and what SAM leaves of it is a mistake here.
"""

import difflib
import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from samcli.cli.types import CfnParameterOverridesType, _flatten_list  # type: ignore[import-untyped]  # ships no types
from samcli.lib.config.exceptions import (  # type: ignore[import-untyped]  # as above
    SamConfigFileReadException,
    SamConfigVersionException,
)
from samcli.lib.config.samconfig import SamConfig  # type: ignore[import-untyped]  # as above
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # as above

from authorizer.config import Settings
from authorizer.errors import Misconfigured
from local.command_line import CommandFailed

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
SHARED_TABLES = ("default", "version")  # no environments, but what plain `sam build` and `sam validate` read
# Reserved for examples (RFC 2606), and the id of no Hanko project.
EXAMPLE = re.compile(r"(?:^|[/.,@\s])example\.(?:com|net|org)(?![\w.-])|0{8}-0{4}-0{4}-0{4}-0{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    """One parameter of template.yaml, and what CloudFormation accepts as its value."""

    name: str
    default: str | None
    secret: bool
    description: str
    constraint: str | None
    number: bool
    allowed_values: tuple[str, ...]
    pattern: str | None
    lengths: tuple[int, int]
    range: tuple[float, float]

    @classmethod
    def read(cls, name: str, given: Mapping[str, Any]) -> "Parameter":
        """Read one entry of the template's Parameters."""
        return cls(
            name=name,
            default=str(given["Default"]) if "Default" in given else None,
            secret=bool(given.get("NoEcho")),
            description=str(given.get("Description", "")),
            constraint=given.get("ConstraintDescription"),
            number=given["Type"] == "Number",
            allowed_values=tuple(str(value) for value in given.get("AllowedValues", ())),
            pattern=given.get("AllowedPattern"),
            lengths=(int(given.get("MinLength", 0)), int(given.get("MaxLength", 4096))),
            range=(float(given.get("MinValue", "-inf")), float(given.get("MaxValue", "inf"))),
        )

    def mistake(self, value: str) -> str | None:
        """What is wrong with this value, without the value itself."""
        if self.number and not _is_number(value):
            return "it must be a number"
        if self.number and not self.range[0] <= float(value) <= self.range[1]:
            return f"it must be {self.range[0]:g} to {self.range[1]:g}"
        if self.allowed_values and value not in self.allowed_values:
            quoted = ", in quotes" if value.lower() in self.allowed_values else ""  # SAM makes True of TOML's true
            return f"it must be {_either(self.allowed_values)}{quoted}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"it must be {self.constraint or 'as the template says: ' + self.description}"
        if not self.lengths[0] <= len(value) <= self.lengths[1]:
            return f"it must have {self.lengths[0]} to {self.lengths[1]} characters"
        return None


def _unfit(values: Mapping[str, str]) -> Iterator[str]:
    """Combinations of values that the template's rules or Lambda refuse."""
    if bool(values["VpcSubnetIds"]) != bool(values["VpcSecurityGroupIds"]):
        yield "VpcSubnetIds and VpcSecurityGroupIds are needed together"
    provisioned, reserved = values["ProvisionedConcurrency"], values["ReservedConcurrency"]
    if provisioned and values["EnableSnapStart"] == "true":
        yield "Lambda takes EnableSnapStart or ProvisionedConcurrency, not both"
    if provisioned.isdecimal() and reserved.isdecimal() and int(provisioned) > int(reserved):
        yield "ProvisionedConcurrency is larger than ReservedConcurrency, of which it is a part"


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value, re.ASCII) is not None


def _either(values: tuple[str, ...]) -> str:
    named = [value or '""' for value in values]
    return " or ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def is_example(value: str) -> bool:
    """Whether it is a value of the shipped samconfig.toml, or another reserved for examples."""
    return EXAMPLE.search(value) is not None


@dataclass(frozen=True)
class Environment:
    """What samconfig.toml says about one environment."""

    name: str
    stack_name: str | None
    region: str | None
    given: Mapping[str, str]
    parameters: Mapping[str, Parameter]
    lost: tuple[str, ...] = field(default=())  # what SAM would drop of the text, one line each

    @property
    def values(self) -> dict[str, str]:
        """Every parameter's value: the file's, else the template's default. A required one may be missing."""
        known = {name: self.given.get(name, one.default) for name, one in self.parameters.items()}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def variables(self) -> dict[str, str]:
        """The HANKO_ variables that these values become, without those that name the stack's own resources."""
        return {variable_of(name): value for name, value in self.values.items() if name.startswith("Hanko")}

    def stack(self) -> str:
        """The stack's name. Raises `CommandFailed` if there is none."""
        if not self.stack_name:
            raise CommandFailed(
                f"samconfig.toml names no stack for {self.name}: set stack_name in its deploy parameters"
            )
        return self.stack_name

    def mistakes(self) -> list[str]:
        """Everything that keeps this environment from being deployed, one line each."""
        return [*self.lost, *self._unknown(), *self._missing(), *self._wrong(), *self._examples()]

    def _unknown(self) -> Iterator[str]:
        for name in self.given.keys() - self.parameters.keys():
            nearest = difflib.get_close_matches(name, self.parameters, 1, 0.5)
            yield f"{name} is no parameter of template.yaml" + (f"; did you mean {nearest[0]}?" if nearest else "")

    def _missing(self) -> Iterator[str]:
        yield from (f"{name} is missing" for name in self.parameters if name not in self.values)

    def _wrong(self) -> Iterator[str]:
        values = {name: value for name, value in self.values.items() if name in self.parameters}
        wrong = {name: mistake for name, value in values.items() if (mistake := self.parameters[name].mistake(value))}
        yield from (f"{name} is wrong: {mistake}" for name, mistake in wrong.items())
        yield from _unfit(values)
        if not wrong and not set(self._missing()):
            yield from self._refused_by_the_function()

    def _refused_by_the_function(self) -> Iterator[str]:
        """Mistakes that CloudFormation accepts, but with which the function would not start."""
        try:
            Settings.from_env(self.variables)
        except Misconfigured as error:
            named = {variable_of(name): name for name in self.parameters}
            for line in str(error).splitlines()[1:]:
                variable, space, rest = line.partition(" ")
                yield f"{named.get(variable, variable)}{space}{rest}"

    def _examples(self) -> Iterator[str]:
        for name, value in self.given.items():
            if name in self.parameters and is_example(value):
                yield f"{name} is still the example's: make init ENV={self.name}"


def variable_of(parameter: str) -> str:
    """`HankoApiUrl` → `HANKO_API_URL`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", parameter).upper()


# --- reading


def samconfig_file() -> Path:
    """samconfig.toml, or the file that SAM_CONFIG_FILE names. `make deploy` tells SAM which."""
    return Path(os.environ.get("SAM_CONFIG_FILE") or ROOT / "samconfig.toml")


def read_environment(name: str, samconfig: Path | None = None, template: Path = TEMPLATE) -> Environment:
    """Read one environment. Raises `CommandFailed` if there is none, or the file cannot be read."""
    samconfig = samconfig or samconfig_file()
    parameters = read_parameters(template)
    deploy = _deploy_parameters(name, samconfig)
    overrides = _Overrides()
    try:
        given = overrides.convert(deploy.get("parameter_overrides"), None, None)
    except click.ClickException as error:  # SAM's own words
        raise CommandFailed(f"{samconfig.name}, {name}: {_first_sentence(error.message)}") from None
    return Environment(
        name=name,
        stack_name=_text(deploy, "stack_name"),
        region=_text(deploy, "region"),
        given=given,
        parameters=parameters,
        lost=tuple(overrides.lost),
    )


@functools.cache  # a second for each time
def read_parameters(template: Path = TEMPLATE) -> Mapping[str, Parameter]:
    """The template's parameters, in its order."""
    parsed: Mapping[str, Any] = yaml_parse(template.read_text("utf-8"))
    return {name: Parameter.read(name, given) for name, given in parsed["Parameters"].items()}


def environments(samconfig: Path | None = None) -> list[str]:
    """The names that ENV may have."""
    names: list[str] = _read(samconfig or samconfig_file()).get_stage_configuration_names()
    return [name for name in names if name not in SHARED_TABLES]


def _deploy_parameters(name: str, samconfig: Path) -> Mapping[str, Any]:
    known = environments(samconfig)
    if not name:
        raise CommandFailed(f"ENV= is missing: {', '.join(known)}, or a new one of make init")
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"make init ENV={name} makes it"
        raise CommandFailed(f"no environment {name} in {samconfig.name} ({', '.join(known)}); {hint}")
    try:
        return dict(_read(samconfig).get_all(["deploy"], "parameters", name))
    except (AttributeError, TypeError, ValueError):
        raise CommandFailed(f"{samconfig.name}: [{name}.deploy.parameters] must be a table") from None


def _read(samconfig: Path) -> Any:  # noqa: ANN401 - SAM CLI ships no types
    if not samconfig.is_file():
        raise CommandFailed(f"there is no {samconfig}")
    try:
        return SamConfig(samconfig.parent, samconfig.name)
    except (SamConfigFileReadException, SamConfigVersionException) as error:
        raise CommandFailed(_unreadable(samconfig, error)) from None
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{samconfig.name} is not UTF-8: byte {error.start}") from None


def _unreadable(samconfig: Path, error: Exception) -> str:
    """File and line, if it is wrong TOML: `tomlkit` says the line, and SAM wraps that twice."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    line = getattr(cause, "line", None)
    place = f"{samconfig.name}:{line}" if line else samconfig.name
    return f"{place}: {_first_sentence(re.sub(r' at line [0-9]+ col [0-9]+$', '', str(cause)))}"


def _first_sentence(text: str) -> str:
    return text.strip().split(". ", 1)[0].removesuffix(".")


def _text(parameters: Mapping[str, Any], name: str) -> str | None:
    value = parameters.get(name)
    return str(value) if value else None


class _Overrides(CfnParameterOverridesType):  # type: ignore[misc]  # SAM CLI ships no types
    """SAM's parser, extended to note the text that it drops, also in included files."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def convert(self, values: Any, *rest: Any, **named: Any) -> dict[str, str]:  # noqa: ANN401 - whatever TOML and YAML hold
        seen: dict[str, str] = {}
        for text in _flatten_list([values]):
            if isinstance(text, str) and text and not text.startswith("file://"):
                self._look_at(text, seen)
        converted: dict[str, str] = super().convert(values, *rest, **named)
        return converted

    def _look_at(self, text: str, seen: dict[str, str]) -> None:
        """Note the parts of a text that SAM drops, and the names given twice."""
        padded = f" {text.strip()}"
        pattern = next((one for one in self.ordered_pattern_match if re.search(one, padded)), None)
        if pattern is None:  # SAM refuses it
            empty = re.fullmatch(r"\s*(\w+)=\s*", text)
            if empty:
                raise CommandFailed(
                    f'{empty[1]} has no value: an empty one is written {empty[1]} = "", in the table form'
                )
            return
        taken = [match.groups()[:2] for match in re.finditer(pattern, padded)]
        left = re.sub(pattern, "", padded).strip()
        if left:
            name = taken[-1][0].strip("\"'")
            self.lost.append(
                f"{name} would be cut at a blank or a quote; in the table form it is not: docs/settings.md"
            )
        for name, value in taken:
            if seen.setdefault(name, value) != value:
                self.lost.append(f"{name} is given twice, with two values")
