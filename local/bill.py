"""The bill of materials of an artifact's zip (CycloneDX 1.6): every file in it, with its SHA-256, below its origin.

A file in the zip is ours, or one of a wheel's, unchanged, or bytecode of such a file; anything else is an error. The
packages compiled into a wheel, such as OpenSSL, stand below it, as the wheel itself lists them (PEP 770).
"""

import hashlib
import importlib.util
import io
import json
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.parser import Parser
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.command_line import CommandFailed

NAME = "hanko-authorizer"
OURS = ("authorizer/", "rules.toml")
SERIAL_NUMBERS = uuid.UUID("5b1f1e0e-3c59-4c7a-9f0b-7d6f3f0c2a11")  # a namespace: the same zip has the same number


class Wheel:
    """One wheel that was installed: what it says of itself, and the digests of its files."""

    def __init__(self, path: Path) -> None:
        self.digest = sha256(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = [name for name in files if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        self.metadata = Parser().parsestr(files[metadata].decode())
        self.name = canonicalize_name(self.metadata["Name"])
        boms = [json.loads(text) for name, text in files.items() if ".dist-info/sboms/" in name]
        self.boms: list[Bom] = [Bom.from_json(bom) for bom in boms]  # type: ignore[attr-defined]  # a decorator adds it
        self.files = {name: sha256(content) for name, content in files.items()}

    def component(self, files: Mapping[str, str]) -> Component:
        """The wheel, these files of it, and what is compiled into them."""
        version, licence = self.metadata["Version"], self.metadata["License-Expression"] or self.metadata["License"]
        return Component(
            name=self.name,
            version=version,
            bom_ref=self.name,
            purl=PackageURL("pypi", name=self.name, version=version),
            hashes=[_hash(self.digest)],
            licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
            components=[*_files(files), *(_compiled_in(one) for bom in self.boms for one in bom.components)],
        )

    def needs(self, python: str) -> set[str]:
        """The names that its metadata requires in Lambda."""
        requirements = map(Requirement, self.metadata.get_all("Requires-Dist", []))
        target = {"python_version": python, "sys_platform": "linux", "implementation_name": "cpython", "extra": ""}
        target["platform_python_implementation"] = "CPython"
        return {canonicalize_name(one.name) for one in requirements if not one.marker or one.marker.evaluate(target)}


def bill_of(packed: bytes, wheels: Sequence[Path], version: str, made: datetime, about: Mapping[str, str]) -> str:
    """The bill of this zip, as JSON. `about` says for what it was built: `architecture` and `python`."""
    opened = [Wheel(path) for path in wheels]
    digests = _digests(packed)
    owned = _by_owner(digests, opened)
    whole = Component(
        name=NAME, version=version, type=ComponentType.APPLICATION, bom_ref=NAME,
        purl=PackageURL("generic", name=NAME, version=version), hashes=[_hash(sha256(packed))],
        properties=[Property(name=f"{NAME}:{name}", value=value) for name, value in about.items()],
        components=_files(owned[None]),
    )  # fmt: skip
    bom = Bom(serial_number=uuid.uuid5(SERIAL_NUMBERS, sha256(packed)), components=[])
    bom.metadata = BomMetaData(component=whole, timestamp=made)
    components = {wheel.name: wheel.component(owned[wheel]) for wheel in opened}
    bom.components.update(components.values())
    bom.register_dependency(whole, components.values())
    for wheel in opened:
        needed = wheel.needs(about["python"])
        bom.register_dependency(components[wheel.name], [one for name, one in components.items() if name in needed])
    return _valid(JsonV1Dot6(bom).output_as_string(indent=2))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digests(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: sha256(archive.read(name)) for name in archive.namelist()}


def _by_owner(digests: Mapping[str, str], wheels: Sequence[Wheel]) -> dict[Wheel | None, dict[str, str]]:
    """The zip's files with their digests, by the wheel that they are from; None for ours."""
    owners: dict[str, Wheel] = {
        name: wheel for wheel in wheels for name, digest in wheel.files.items() if digests.get(name) == digest
    }
    owned: dict[Wheel | None, dict[str, str]] = {owner: {} for owner in (None, *wheels)}
    for name, digest in digests.items():
        source = importlib.util.source_from_cache(name) if name.endswith(".pyc") else name
        if source not in owners and not source.startswith(OURS):
            raise CommandFailed(f"{name} in the artifact is neither ours nor of a wheel, unchanged")
        owned[owners.get(source)][name] = digest
    return owned


def _files(digests: Mapping[str, str]) -> list[Component]:
    return [Component(name=name, type=ComponentType.FILE, hashes=[_hash(one)]) for name, one in digests.items()]


def _compiled_in(stated: Component) -> Component:
    """As the wheel's own bill states it, without the paths of the machine on which the wheel was built."""
    return Component(
        name=stated.name, version=stated.version, purl=stated.purl, hashes=stated.hashes, licenses=stated.licenses
    )


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _valid(text: str) -> str:
    """The same, if CycloneDX's schema says so."""
    mistake = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if mistake:
        raise CommandFailed(f"the bill of materials is not valid: {str(mistake.data)[:200]}")
    return text
