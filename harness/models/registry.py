"""The models that ship: registry, sidecars, hashes, and which one is in production."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import read_json, schema_problem, whole_file, write_json
from harness.locks import folder_held
from harness.models.contract import INPUT, OUTPUT, admitted
from harness.models.folders import PATIENCE, model_folder, own_model_folder
from harness.models.model_file import ModelFile
from harness.models.production import FILE, read_production

SCHEMA = Path(__file__).parent / "registry.schema.json"
PRODUCTION = "production"
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WORDS = "centre-prior plain oracle shuffled mask reference source none incumbent candidate"
RESERVED = (PRODUCTION, *_WORDS.split())
"""Words that commands and tables have a meaning for already."""
LICENCE = "BSD-3-Clause-Plus-Patent"


@dataclass(frozen=True)
class Finding:
    """What `verify` says of one model (or of the registry): `problem` is None when all is well."""

    subject: str
    problem: str | None


@dataclass(frozen=True)
class Registry:
    """The registry of a model folder as it was when it was read: a run asks one, whatever happens to the file."""

    folder: Path
    models: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, folder: Path | None = None) -> Registry:
        """Of `folder` [default: `model_folder()`]; `InputError` for a file that its schema refuses."""
        folder = folder or model_folder()
        path = folder / "tiny" / "registry.json"
        content = read_json(path)
        if problem := _problem_of(content):
            raise InputError(f"{path}: {problem}")
        return cls(folder, tuple(content["models"]))

    def find(self, asked: str) -> ModelFile:
        """A registry id, `production`, or a path, to its file; `InputError` lists what exists."""
        if asked == PRODUCTION:
            return self._in_production()
        if entry := self.entry(asked):
            return self._file(entry)
        path = Path(asked)
        if path.suffix == ".onnx" or path.exists():
            if not path.is_file():
                what = "a folder" if path.is_dir() else "no such file"
                raise InputError(f"model {asked}: {what} (allowed: a registry id or a path to an .onnx file)")
            return ModelFile.at(path)
        known = ", ".join([PRODUCTION, *(entry["id"] for entry in self.models)])
        raise InputError(f"unknown model {asked!r} (allowed: {known}, or a path to an .onnx file)")

    def entry(self, model_id: str) -> dict[str, Any] | None:
        """What the registry says of a model, or None for an id that it does not have."""
        return next((entry for entry in self.models if entry["id"] == model_id), None)

    def problem(self, file: ModelFile) -> str | None:
        """How a registered file differs from what registry and sidecar say of it, or None."""
        entry = self.entry(file.name)
        return f"{file.name} is not registered" if entry is None else _problem(file, entry)

    def findings(self) -> list[Finding]:
        """One of the registry as such, then one of each model."""
        found = [Finding("registry.json", None)]
        return found + [Finding(entry["id"], _problem(self._file(entry), entry)) for entry in self.models]

    def production_problem(self) -> str | None:
        """Why `production.json` does not lead to a registered model, or None."""
        try:
            self._in_production()
        except InputError as error:
            return str(error)
        return None

    def _file(self, entry: dict[str, Any]) -> ModelFile:
        return ModelFile(entry["id"], self.folder / "tiny" / entry["onnx"], entry["sha256"])

    def _in_production(self) -> ModelFile:
        now = read_production(self.folder).now
        if now is None:
            raise InputError(f"no model is in production yet: {self.folder / FILE} does not exist")
        entry = self.entry(now.id)
        if entry is None:
            raise InputError(f"{now.id} is in production, but the registry does not have it")
        if entry["sha256"] != now.sha256:
            raise InputError(f"{now.id} is in production with another sha256 than the registry has")
        return self._file(entry)


def entries(folder: Path | None = None) -> list[dict[str, Any]]:
    """The registry's `models`, in file order; `InputError` for a file that its schema refuses."""
    return list(Registry.read(folder).models)


def find_model(asked: str, folder: Path | None = None) -> ModelFile:
    """A registry id, `production`, or a path, to a `ModelFile`; `InputError` lists what exists."""
    return Registry.read(folder).find(asked)


def verify(folder: Path | None = None) -> list[Finding]:
    """Check every entry: schema, hash, graph, sidecar; and that what is in production is what the registry has.

    Each model yields one `Finding`; the registry as such does, and so does `production.json` where there is one.
    """
    folder = folder or model_folder()
    path = folder / "tiny" / "registry.json"
    content = read_json(path)
    if problem := _problem_of(content):
        return [Finding(path.name, problem)]
    registry = Registry(folder, tuple(content["models"]))
    production = [Finding(FILE, registry.production_problem())] if (folder / FILE).exists() else []
    return [*registry.findings(), *production]


def register(entry: dict[str, Any], sidecar: dict[str, Any], onnx: Path, folder: Path | None = None) -> Path:
    """Copy `onnx` in as `tiny/<id>.onnx`, write its sidecar and its registry entry (new or replaced); its path.

    The folder is `own_model_folder()` by default.

    Raises:
        InputError: For an id that is none, or that is or was in production with other bytes: a verdict speaks of these;
            and while another process changes the folder.
    """
    refuse_id(entry["id"])
    folder = folder or own_model_folder()
    with folder_held(folder, f"registering {entry['id']}", PATIENCE):
        path = folder / "tiny" / "registry.json"
        known = [dict(other) for other in Registry.read(folder).models] if path.exists() else []
        _refuse_replacing(entry, folder)
        registry: dict[str, Any] = read_json(path) if path.exists() else {"schema_version": 1}
        kept = [other for other in known if other["id"] != entry["id"]]
        registry["models"] = sorted([*kept, entry], key=lambda item: item["id"])
        if problem := _problem_of(registry):
            raise InputError(f"{path}: {problem}")
        target = folder / "tiny" / entry["onnx"]
        with whole_file(target) as part:
            part.write_bytes(onnx.read_bytes())
        write_json(target.with_suffix(".json"), sidecar)
        write_json(path, registry)
    return target


def refuse_id(model_id: str) -> None:
    """`InputError` for what is no id, or is a word that commands and tables have a meaning for already.

    >>> refuse_id("saliency_student_v3")
    """
    if not ID.fullmatch(model_id):
        raise InputError(
            f"model id {model_id!r} (allowed: up to 64 small letters, digits, _ and -, a letter or digit first)"
        )
    if model_id in RESERVED:
        raise InputError(f"model id {model_id!r} means something else (allowed: any id but {', '.join(RESERVED)})")


def _refuse_replacing(entry: dict[str, Any], folder: Path) -> None:
    sha256 = read_production(folder).files.get(entry["id"])
    if sha256 not in (None, entry["sha256"]):
        raise InputError(f"{entry['id']} is or was in production, and its file stays (allowed: another id)")


def entry_for(model_id: str, onnx: Path, description: str, notes: str, smoke: bool = False) -> dict[str, Any]:
    """A registry entry for a file that passes `check_graph`."""
    refuse_id(model_id)
    file = ModelFile.at(onnx)
    _, facts = admitted(file)
    entry: dict[str, Any] = {"id": model_id, "kind": "nr", "onnx": f"{model_id}.onnx", "sha256": file.sha256}
    entry |= {"opset": facts.opset, "description": description, "notes": notes, "quant_mode": "fp32"}
    return entry | {"license": LICENCE} | ({"smoke": True} if smoke else {})


def sidecar_for(entry: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The sidecar that belongs to `entry`, in upstream's format plus the file's hash."""
    ports = {"input_name": INPUT, "output_name": OUTPUT}
    head = {"name": entry["id"], "kind": "nr", "onnx_opset": entry["opset"], **ports}
    return head | {"notes": entry["notes"], "sha256": entry["sha256"], "training": training}


def _problem_of(registry: Any) -> str | None:
    """What is wrong with a registry's content: against its schema, an id twice, a file outside the folder."""
    if problem := schema_problem(registry, SCHEMA):
        return problem
    seen: set[str] = set()
    owners: dict[str, str] = {}
    for entry in registry["models"]:
        if entry["id"] in seen:
            return f"{entry['id']} stands twice (allowed: once)"
        if (owner := owners.setdefault(entry["onnx"], entry["id"])) != entry["id"]:
            return f"{owner} and {entry['id']} have one file, {entry['onnx']} (allowed: one each)"
        if {"..", ""} & set(entry["onnx"].split("/")):
            return f"{entry['id']}: its file is {entry['onnx']} (allowed: a path inside the folder)"
        seen.add(entry["id"])
    return None


def _problem(file: ModelFile, entry: dict[str, Any]) -> str | None:
    path = file.path
    try:
        if file.sha256 != entry["sha256"]:
            return f"{path.name}: sha256 is {file.sha256}, the registry says {entry['sha256']}"
        _, facts = admitted(file)
        if entry.get("opset", facts.opset) != facts.opset:
            return f"{path.name}: opset is {facts.opset}, the registry says {entry['opset']}"
        sidecar = read_json(path.with_suffix(".json"))
    except InputError as error:
        return str(error)
    if not isinstance(sidecar, dict):
        return f"{path.stem}.json: {type(sidecar).__name__} at the top level (allowed: an object)"
    expected = sidecar_for({"notes": "", **entry, "opset": facts.opset}, {})
    for key in ("name", "kind", "onnx_opset", "input_name", "output_name", "sha256"):
        if sidecar.get(key) != expected[key]:
            return f"{path.stem}.json: {key} is {sidecar.get(key)!r}, the file has {expected[key]!r}"
    return None
