"""The models that ship: registry, sidecars, hashes, and which one is in production."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from harness.errors import InputError
from harness.files import read_json, sha256_of, whole_file, write_json
from harness.models.contract import INPUT, OUTPUT, check_graph
from harness.models.production import FILE, read_production

PRODUCTION = "production"
LICENCE = "BSD-3-Clause-Plus-Patent"


@dataclass(frozen=True)
class Finding:
    """What `verify` says of one model (or of the registry): `problem` is None when all is well."""

    subject: str
    problem: str | None


@dataclass(frozen=True)
class ModelFile:
    """A model that was asked for: its name in tables, its file, and the hash it must have, if one is known."""

    name: str
    path: Path
    sha256: str | None


def model_folder() -> Path:
    """`HARNESS_MODELS`, else the checkout's `model/`, else the copy inside the installed package."""
    if chosen := os.environ.get("HARNESS_MODELS"):
        return Path(chosen)
    package = Path(__file__).parents[1]
    checkout = package.parent
    return checkout / "model" if (checkout / "pyproject.toml").exists() else package / "shipped" / "model"


def entries(folder: Path | None = None) -> list[dict[str, Any]]:
    """The registry's `models`, in file order; `InputError` for a file that its schema refuses."""
    path = (folder or model_folder()) / "tiny" / "registry.json"
    registry = read_json(path)
    if problem := _schema_problem(registry):
        raise InputError(f"{path}: {problem}")
    return list(registry["models"])


def find_model(asked: str, folder: Path | None = None) -> ModelFile:
    """A registry id, `production`, or a path, to a `ModelFile`; `InputError` lists what exists."""
    folder = folder or model_folder()
    if asked == PRODUCTION:
        return _in_production(folder)
    if registered := _registered(asked, folder):
        return registered
    path = Path(asked)
    if path.suffix == ".onnx" or path.exists():
        if not path.is_file():
            what = "a folder" if path.is_dir() else "no such file"
            raise InputError(f"model {asked}: {what} (allowed: a registry id or a path to an .onnx file)")
        return ModelFile(path.stem, path, None)
    known = ", ".join([PRODUCTION, *(entry["id"] for entry in entries(folder))])
    raise InputError(f"unknown model {asked!r} (allowed: {known}, or a path to an .onnx file)")


def _registered(model_id: str, folder: Path) -> ModelFile | None:
    found = (entry for entry in entries(folder) if entry["id"] == model_id)
    return next((ModelFile(model_id, folder / "tiny" / entry["onnx"], entry["sha256"]) for entry in found), None)


def _in_production(folder: Path) -> ModelFile:
    stack, _ = read_production(folder)
    if not stack:
        raise InputError(f"no model is in production yet: {folder / FILE} does not exist")
    found = _registered(stack[-1].id, folder)
    if found is None:
        raise InputError(f"{stack[-1].id} is in production, but the registry does not have it")
    if found.sha256 != stack[-1].sha256:
        raise InputError(f"{stack[-1].id} is in production with another sha256 than the registry has")
    return found


def verify(folder: Path | None = None) -> list[Finding]:
    """Check every entry: schema, hash, graph, sidecar; and that what is in production is what the registry has.

    Each model yields one `Finding`; the registry as such does, and so does `production.json` where there is one.
    """
    folder = folder or model_folder()
    tiny = folder / "tiny"
    registry = read_json(tiny / "registry.json")
    if problem := _schema_problem(registry):
        return [Finding("registry.json", problem)]
    ids = [entry["id"] for entry in registry["models"]]
    findings = [Finding("registry.json", "an id stands twice" if len(set(ids)) < len(ids) else None)]
    findings += [Finding(entry["id"], _problem(tiny, entry)) for entry in registry["models"]]
    return [*findings, Finding(FILE, _production_problem(folder))] if (folder / FILE).exists() else findings


def _production_problem(folder: Path) -> str | None:
    try:
        _in_production(folder)
    except InputError as error:
        return str(error)
    return None


def register(entry: dict[str, Any], sidecar: dict[str, Any], onnx: Path, folder: Path | None = None) -> Path:
    """Copy `onnx` in as `tiny/<id>.onnx`, write its sidecar and its registry entry (new or replaced)."""
    tiny = (folder or model_folder()) / "tiny"
    path = tiny / "registry.json"
    known = entries(folder) if path.exists() else []
    registry: dict[str, Any] = read_json(path) if path.exists() else {"schema_version": 1}
    kept = [other for other in known if other["id"] != entry["id"]]
    registry["models"] = sorted([*kept, entry], key=lambda item: item["id"])
    jsonschema.Draft202012Validator(registry_schema()).validate(registry)
    target = tiny / entry["onnx"]
    with whole_file(target) as part:
        part.write_bytes(onnx.read_bytes())
    write_json(target.with_suffix(".json"), sidecar)
    write_json(path, registry)
    return target


def entry_for(model_id: str, onnx: Path, description: str, notes: str, smoke: bool = False) -> dict[str, Any]:
    """A registry entry for a file that passes `check_graph`."""
    facts = check_graph(onnx)
    entry: dict[str, Any] = {"id": model_id, "kind": "nr", "onnx": f"{model_id}.onnx", "sha256": sha256_of(onnx)}
    entry |= {"opset": facts.opset, "description": description, "notes": notes, "quant_mode": "fp32"}
    return entry | {"license": LICENCE} | ({"smoke": True} if smoke else {})


def sidecar_for(entry: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The sidecar that belongs to `entry`, in upstream's format plus the file's hash."""
    ports = {"input_name": INPUT, "output_name": OUTPUT}
    head = {"name": entry["id"], "kind": "nr", "onnx_opset": entry["opset"], **ports}
    return head | {"notes": entry["notes"], "sha256": entry["sha256"], "training": training}


def registry_schema() -> dict[str, Any]:
    """The JSON Schema of `registry.json`, written from upstream's description of the format."""
    schema: dict[str, Any] = read_json(Path(__file__).parent / "registry.schema.json")
    return schema


def _schema_problem(registry: Any) -> str | None:
    validator: Any = jsonschema.Draft202012Validator(registry_schema())
    for error in validator.iter_errors(registry):
        where = "/".join(map(str, error.absolute_path)) or "top level"
        return f"{where}: {error.message}"
    return None


def _problem(tiny: Path, entry: dict[str, Any]) -> str | None:
    path = tiny / entry["onnx"]
    try:
        found = sha256_of(path)
        if found != entry["sha256"]:
            return f"{path.name}: sha256 is {found}, the registry says {entry['sha256']}"
        facts = check_graph(path)
        if entry.get("opset", facts.opset) != facts.opset:
            return f"{path.name}: opset is {facts.opset}, the registry says {entry['opset']}"
        sidecar = read_json(path.with_suffix(".json"))
    except InputError as error:
        return str(error)
    if not isinstance(sidecar, dict):
        return f"{path.stem}.json: {type(sidecar).__name__} at the top level (allowed: an object)"
    expected = sidecar_for(entry | {"opset": facts.opset}, {})
    for key in ("name", "kind", "onnx_opset", "input_name", "output_name", "sha256"):
        if sidecar.get(key) != expected[key]:
            return f"{path.stem}.json: {key} is {sidecar.get(key)!r}, the file has {expected[key]!r}"
    return None
