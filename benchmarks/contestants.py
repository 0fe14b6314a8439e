"""The contestants: ours as built for AWS and its variants, the peers, and the floors."""

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.runtime_api import Sandbox
from local.build import ROOT, packed_artifact
from local.hanko import StandInHanko
from local.runtime import HANDLER, lambda_environment
from local.sign import event_with

ISSUER = "https://issuer.example.com"  # auth_alpha verifies no token without one
PYTHON_PEERS = {
    "PyJWT's PyJWKClient": "pyjwkclient",
    "Powertools auth_alpha": "auth_alpha",
    "Powertools, all of it": "powertools_authorizer",
    "joserfc": "with_joserfc",
    "joserfc, strict": "strict_joserfc",
    "Hanko's guide": "guide",
}
RUST = "Rust oidc-authorizer"  # REST only, and it logs refusals alone
RUST_VARIABLE = (
    "OIDC_AUTHORIZER"  # its program, built from its public source for the run: it is no part of this project
)
_CRYPTOGRAPHY = ("cryptography*", "cffi*", "_cffi_backend*", "pycparser*", "jwt", "pyjwt*")
PACKAGES = {
    "PyJWT's PyJWKClient": _CRYPTOGRAPHY,
    "Hanko's guide": _CRYPTOGRAPHY,
    "Powertools auth_alpha": (*_CRYPTOGRAPHY, "aws_lambda_powertools*", "jmespath*", "typing_extensions*", "urllib3*"),
    "joserfc": ("joserfc*", *_CRYPTOGRAPHY[:4]),
    "Node aws-jwt-verify": ("aws-jwt-verify",),
    "Node jose": ("jose",),
    "Node Auth0 sample": (
        *("jsonwebtoken", "jws", "jwa", "buffer-equal-constant-time", "ecdsa-sig-formatter", "safe-buffer", "lodash.*"),
        *("ms", "semver", "jwks-rsa", "jose", "debug", "limiter", "lru-memoizer", "lru-cache"),
    ),
}
NODE_PEERS = {"Node aws-jwt-verify": "aws-jwt-verify", "Node jose": "jose", "Node Auth0 sample": "auth0"}
OURS, AGAIN, NODE = "ours", "ours again", "Node aws-jwt-verify"
FROM_SOURCE = ("-m", "awslambdaric", HANDLER)  # ours, out of this checkout


@dataclass(frozen=True, slots=True)
class Contestant:
    """One function: its command, its folder, and its own variables beside those that all have."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    kind: type[Sandbox] = Sandbox

    def sandbox(self, hanko: StandInHanko, output: Path, **environment: str) -> Sandbox:
        """A sandbox with this function, not started yet."""
        variables = {**environment_for(hanko), **self.environment, **environment}
        return self.kind(self.command, self.folder, variables, output)


class RestSandbox(Sandbox):
    """A function that knows the TOKEN event of REST APIs alone; event and answer are translated outside the time."""

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """As `Sandbox.invoke`."""
        request = json.loads(event)
        token = {"authorizationToken": request["headers"]["authorization"], "methodArn": request["routeArn"]}
        seconds, answer = super().invoke(json.dumps({"type": "TOKEN", **token}).encode())
        allowed = json.loads(answer)["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        return seconds, json.dumps({"isAuthorized": allowed}).encode()


class Field:
    """All contestants, installed and built."""

    def __init__(self) -> None:
        """Takes a minute where nothing is installed yet."""
        self._python, self._node = peers.lambda_python(), peers.node()
        self._runtime = peers.runtime_packages(self._python)
        self.artifact = peers.artifact("artifact")

    @property
    def runtimes(self) -> str:
        """The versions that the functions run on."""
        versions = [_version_of(*self._python.command)]
        if self._node:
            versions.append(f"Node {_version_of(str(self._node.home / 'bin' / 'node'))}")
        return ", ".join(versions)

    def everybody(self) -> dict[str, Contestant]:
        """Ours twice, which shows the noise, all peers, and the floors."""
        ours = {OURS: self.ours(self.artifact), AGAIN: self.ours(self.artifact)}
        python = {name: self.python_peer(module) for name, module in PYTHON_PEERS.items()}
        python |= _rust_peer()
        floor = {"empty Python handler": self.python_peer("empty")}
        if self._node is None:
            return ours | python | floor
        node = {name: _node_peer(self._node, module) for name, module in NODE_PEERS.items()}
        return ours | node | python | floor | {"empty Node handler": _node_peer(self._node, "empty")}

    def ours(self, artifact: Path, handler: str = HANDLER, **environment: str) -> Contestant:
        """The authorizer of that folder. The runtime client's packages come from another one, as they do in AWS."""
        path = f"{artifact}:{self._runtime}:{ROOT / 'benchmarks' / 'python'}"
        own = {**lambda_environment(handler, artifact), "PYTHONPATH": path, **environment}
        return Contestant(self._client(handler), artifact, own)

    def python_peer(self, module: str) -> Contestant:
        """A handler of benchmarks/python, with the packages of all peers."""
        path = f"{ROOT / 'benchmarks' / 'python'}:{self._python.packages}"
        handler = f"{module}.handler"
        return Contestant(self._client(handler), ROOT, {**lambda_environment(handler, ROOT), "PYTHONPATH": path})

    def _client(self, handler: str) -> tuple[str, ...]:
        return (*self._python.command, "-S", "-m", "awslambdaric", handler)

    def artifact_with(self, rules: str) -> Path:
        """A copy of the artifact with these rules."""
        folder = peers.FOLDER / "artifact-with-rules"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.artifact, folder)
        (folder / "rules.toml").write_text(rules)
        return folder

    def without_tricks(self) -> dict[str, Contestant]:
        """Ours without one of the tricks of its start, and without both."""
        bare = peers.FOLDER / "artifact-without-bytecode"
        shutil.rmtree(bare, ignore_errors=True)
        shutil.copytree(self.artifact, bare, ignore=shutil.ignore_patterns("__pycache__"))
        late = "without_overlap.handler"
        return {
            "ours, keys fetched later": self.ours(self.artifact, late),
            "ours without bytecode": self.ours(bare, PYTHONDONTWRITEBYTECODE="1"),
            "ours without both": self.ours(bare, late, PYTHONDONTWRITEBYTECODE="1"),
        }

    def zipped_bytes(self) -> dict[str, int]:
        """The sizes of the zip files: ours as built, and for each peer the packages that it needs."""
        sizes = {OURS: len(packed_artifact(self.artifact))}
        for name, patterns in PACKAGES.items():
            root = self._node.folder / "node_modules" if name in NODE_PEERS and self._node else self._python.packages
            if name in PYTHON_PEERS or self._node:
                sizes[name] = _zipped_bytes(root, patterns)
        return sizes


def event_of(token: str) -> bytes:
    """The event for all contestants: an HTTP API's, payload 2.0, with this token."""
    return json.dumps(event_with("http_v2", token)).encode()


def _rust_peer() -> dict[str, Contestant]:
    program = os.environ.get(RUST_VARIABLE)
    if not program:
        print(f"without {RUST}: {RUST_VARIABLE} names no program")
        return {}
    environment = lambda_environment("bootstrap", ROOT, "AWS_Lambda_provided.al2023")
    return {RUST: Contestant((program,), ROOT, environment, RestSandbox)}


def _node_peer(node: peers.Node, module: str) -> Contestant:
    major = _version_of(str(node.home / "bin" / "node")).lstrip("v").split(".")[0]
    environment = lambda_environment(f"{module}.handler", node.folder, f"AWS_Lambda_nodejs{major}.x")
    return Contestant(node.command(module), node.folder, environment)


def _version_of(*command: str) -> str:
    return subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - asks it


def environment_for(hanko: StandInHanko) -> dict[str, str]:
    """The variables of a function that trusts this Hanko: ours, out of this checkout, unless a contestant differs."""
    return {
        **lambda_environment(HANDLER, ROOT),
        "PYTHONPATH": str(ROOT),
        "HANKO_API_URL": hanko.url,
        "HANKO_AUDIENCE": "localhost",
        "PEER_ISSUER": ISSUER,
        "JWKS_URI": f"{hanko.url}/.well-known/jwks.json",
        "ACCEPTED_AUDIENCES": "localhost",
        "ACCEPTED_ISSUERS": ISSUER,
        "ACCEPTED_ALGORITHMS": "RS256",
        "SSL_CERT_FILE": str(hanko.ca_file),
        "NODE_EXTRA_CA_CERTS": str(hanko.ca_file),
    }


def _zipped_bytes(root: Path, patterns: tuple[str, ...]) -> int:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for top in {top for pattern in patterns for top in root.glob(pattern)}:
            for path in [top, *top.rglob("*")]:
                if path.is_file():
                    archive.write(path, path.relative_to(root))
    return len(packed.getvalue())
