"""The distribution as its users have it: built, installed into a fresh environment, served over real HTTP.

Each server runs the lines of docs/library.md. All cases of a server are one test, in the order of a day: Hanko is down
at the start, comes, rotates its key, and goes.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.background import free_port
from local.hanko import StandInHanko

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
HANG_GUARD_SECONDS = 30
DJANGO_APP = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
{lines}
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=MIDDLEWARE, HANKO=HANKO)
urlpatterns = [path("me", lambda request: JsonResponse({{"user": request.hanko.user_id}}))]
app = get_wsgi_application()
"""
SERVERS = {
    "FastAPI": ["uvicorn", "app:app", "--port"],
    "Django": ["gunicorn", "app:app", "--workers", "2", "--threads", "8", "--preload", "--bind"],
    "Flask": ["gunicorn", "app:app", "--threads", "4", "--bind"],
}


def run(*command: str | Path, **more: Any) -> str:  # noqa: ANN401 - those of subprocess
    done = subprocess.run(command, check=True, capture_output=True, text=True, **more)  # noqa: S603 - tools of ours
    return str(done.stdout)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's folder of programs. The versions are those that are pinned for the tests."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder)
    (wheel,) = dist.glob("*.whl")
    command: list[str | Path] = [BIN / "uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    extras = f"hanko-authorizer[fastapi,django,flask] @ {wheel.as_uri()}"
    run(*command, "--constraints", ROOT / "requirements-dev.txt", extras, "uvicorn", "gunicorn")
    return folder / "bin"


def lines_of_the_documents(framework: str) -> str:
    section = (ROOT / "docs" / "library.md").read_text().split(f"\n## {framework}\n", 1)[1]
    block = re.search(r"```python\n(.+?)```", section, re.DOTALL)
    assert block
    return block[1]


@contextmanager
def serving(installed: Path, framework: str, hanko: StandInHanko, folder: Path) -> Iterator[str]:
    """The address of a server of its own."""
    lines = lines_of_the_documents(framework)
    (folder / "app.py").write_text(DJANGO_APP.format(lines=lines) if framework == "Django" else lines)
    port = free_port()
    name, *arguments = SERVERS[framework]
    command = [str(installed / name), *arguments, str(port) if name == "uvicorn" else f"127.0.0.1:{port}"]
    environ = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", "PATH": os.environ["PATH"]}
    with (folder / "output").open("w") as output:
        server = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)  # noqa: S603 - ours
    try:
        url = f"http://127.0.0.1:{port}/me"
        deadline = time.monotonic() + HANG_GUARD_SECONDS
        while not listens(url):
            assert server.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        yield url
    finally:
        server.terminate()
        server.wait(HANG_GUARD_SECONDS)


def listens(url: str) -> bool:
    try:
        urllib.request.urlopen(url).close()  # noqa: S310 - of this test
    except urllib.error.HTTPError as refused:
        refused.close()
    except OSError:
        return False
    return True


def status(url: str, token: str = "", *, cookie: bool = False) -> int:
    headers = {"Cookie": f"hanko={token}"} if cookie else {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310 - of this test
            assert str(uuid.UUID(json.load(answer)["user"]))
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        error = refused
    with error:
        assert error.headers["Content-Type"] == "application/problem+json"
        assert bool(error.headers["WWW-Authenticate"]) == (error.code == 401)
        assert json.load(error)["detail"]
    return error.code


def warm(url: str, token: str, hanko: StandInHanko, processes: int) -> None:
    """Ask until every process has the keys, beyond the pause after the failed fetch."""
    deadline = time.monotonic() + HANG_GUARD_SECONDS
    asked = hanko.jwks_requests
    while hanko.jwks_requests < asked + processes or status(url, token) != 200:
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(lambda _: status(url, token), range(32))) <= {200, 503}
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


@pytest.mark.parametrize("framework", SERVERS)
def test_a_day_of_a_server(installed: Path, framework: str, tmp_path: Path) -> None:
    with StandInHanko() as hanko:
        good = hanko.mint()
        hanko.behave("status", code=404)
        with serving(installed, framework, hanko, tmp_path) as url:
            cases = {"hanko down, no keys": status(url, good)}
            hanko.behave("normal")
            warm(url, good, hanko, processes=2 if framework == "Django" else 1)
            cases |= {
                "no token": status(url),
                "good header": status(url, good),
                "good cookie": status(url, good, cookie=True),
                "expired": status(url, hanko.mint(lifetime_seconds=-60)),
                "webhook token": status(url, hanko.webhook_token("user.create", {"id": str(uuid.uuid4())})),
                "wrong audience": status(url, hanko.mint(claims={"aud": ["other.example.com"]})),
                "tampered": status(url, good[:-8] + "AAAAAAAA"),
            }
            hanko.rotate()
            cases["rotated key"] = status(url, hanko.mint())
            hanko.behave("down")
            cases["hanko down, warm keys"] = status(url, good)
    assert cases == {
        "hanko down, no keys": 503,
        "no token": 401,
        "good header": 200,
        "good cookie": 200,
        "expired": 401,
        "webhook token": 401,
        "wrong audience": 401,
        "tampered": 401,
        "rotated key": 200,
        "hanko down, warm keys": 200,
    }


def test_the_distribution_is_well_formed(dist: Path) -> None:
    run(BIN / "validate-pyproject", ROOT / "pyproject.toml")
    run(BIN / "twine", "check", "--strict", *sorted(dist.iterdir()))


def test_wheel_and_sdist_hold_the_package_and_nothing_else(dist: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "authorizer").rglob("*.py")} | {"authorizer/py.typed"}
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in packed if not name.startswith("hanko_authorizer-0.1.0.dist-info/")} == sources
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert names - sources == {"PKG-INFO", "pyproject.toml", "LICENSE", "docs/library.md", ".gitignore"}


def test_the_runtime_needs_cryptography_alone(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("hanko_authorizer-0.1.0.dist-info/METADATA").decode()
    required = re.findall(r"^Requires-Dist: ([a-z0-9-]+).*?(?:extra == '(\w+)')?$", metadata, re.MULTILINE)
    assert sorted(required) == [
        ("aws-lambda-powertools", "lambda"),
        ("cryptography", ""),
        ("django", "django"),
        ("fastapi", "fastapi"),
        ("flask", "flask"),
    ]
