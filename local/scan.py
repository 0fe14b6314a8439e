"""`make scan`: what checkov finds in template.yaml and in the examples, with every option off and with every option on.

checkov believes the default of each parameter. Where a condition is false by default, it looks at no resource behind
it, and counts that resource all the same. At a policy with `Fn::If` among its statements it does not look either. So
each CloudFormation template is scanned twice: as it is, and with another default for every parameter that has one, and
with the first branch of every `Fn::If`. A finding is corrected, or skipped at its resource with the reason.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # ships no types

from local.build import ROOT
from local.command_line import CommandFailed, run, say

CHECKOV = Path(sys.executable).parent.parent / "checkov"  # the environment
SCANNER = Path(__file__).parent / "scanner.py"
EXAMPLES = ROOT / "examples"
TEMPLATES = (ROOT / "template.yaml", *sorted(EXAMPLES.glob("*.yaml")), *sorted(EXAMPLES.glob("attach/sam-*.yaml")))
TERRAFORM = tuple(sorted(EXAMPLES.rglob("*.tf")))  # no parameters, no options
AN_ARN = "arn:aws:sns:eu-west-1:123456789012:an-example"  # for what is empty by default; checkov asks no more of it

Json = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Scan, and fail with one line for each finding."""
    argparse.ArgumentParser(prog="python -m local.scan", description=__doc__).parse_args(argv)
    findings = scan(TEMPLATES, TERRAFORM)
    for finding in findings:
        say(finding, "red", error=True)
    if findings:
        raise CommandFailed(f"{len(findings)} findings: correct each, or skip it at its resource with the reason")
    say(f"checkov: no finding in {len(TEMPLATES + TERRAFORM)} templates, with their options off and on")


def scan(templates: Sequence[Path], terraform: Sequence[Path]) -> list[str]:
    """One line for each finding, each file that cannot be read, and each resource that checkov did not look at."""
    parsed = {str(file): yaml_parse(file.read_text("utf-8")) for file in templates}
    with tempfile.TemporaryDirectory() as folder:
        copies = dict(_switched_on(parsed, Path(folder)))
        answer = _checkov([*parsed, *map(str, terraform), *copies])
    lines, looked_at = set(), set()
    for path, report in answer["reports"].items():
        file = copies.get(path, path)
        lines |= {f"{file}: {finding}" for finding in report["found"]}
        lines |= set() if report["readable"] else {f"{file}: checkov cannot read it"}
        looked_at |= {(file, resource) for resource in report["looked_at"]}
    missed = _resources(parsed, set(answer["known_types"])) - looked_at
    lines |= {f"{file}: {resource}: checkov did not look at it" for file, resource in missed}
    return sorted(line.removeprefix(f"{ROOT}/") for line in lines)


def _switched_on(parsed: Mapping[str, Json], folder: Path) -> Iterator[tuple[str, str]]:
    """Write each template with its options on. Yields the copy, and the file that it is of."""
    for number, (file, template) in enumerate(parsed.items()):
        copy = folder / f"{number}.json"
        parameters = {name: _switched(given) for name, given in template.get("Parameters", {}).items()}
        copy.write_text(json.dumps({**template, "Parameters": parameters, "Resources": _first(template["Resources"])}))
        yield str(copy), file


def _switched(parameter: Json) -> Json:
    """A parameter with another default: the first other value that is allowed, or something instead of nothing."""
    if "Default" not in parameter:
        return parameter
    others = [value for value in parameter.get("AllowedValues", ()) if value != parameter["Default"]]
    return {**parameter, "Default": (others or [parameter["Default"] or AN_ARN])[0]}


def _first(value: Any) -> Any:  # noqa: ANN401 - any part of a template
    """The same with the first branch of every Fn::If."""
    match value:
        case {"Fn::If": [_, branch, _]}:
            return _first(branch)
        case dict():
            return {name: _first(part) for name, part in value.items()}
        case list():
            return [_first(part) for part in value]
    return value


def _resources(parsed: Mapping[str, Json], types: set[str]) -> set[tuple[str, str]]:
    """File and name of each resource of these types, as checkov writes the name: `Type.Name`."""
    return {
        (file, f"{resource['Type']}.{name}")
        for file, template in parsed.items()
        for name, resource in template["Resources"].items()
        if resource["Type"] in types
    }


def _checkov(files: Sequence[str]) -> Json:
    """See scanner.py."""
    command = [str(CHECKOV / "bin" / "python"), str(SCANNER), *files]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        raise CommandFailed(f"checkov ended with status {finished.returncode}, see above")
    answer: Json = json.loads(finished.stdout)
    return answer


if __name__ == "__main__":
    run(main)
