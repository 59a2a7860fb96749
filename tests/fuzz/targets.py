"""Every reader of files from elsewhere, with a good file to damage; each gives a value or a `HarnessError`."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from corpora import manifest
from corpora.fetch import unzip
from corpora.manifest import load_manifest
from harness.cli.app import COMMANDS, whole_application
from harness.cli.project import find_project_file, settings
from harness.errors import InputError
from harness.files import read_json
from harness.gate.judge import judge
from harness.gate.policy import load_policy
from harness.gate.signature import sign
from harness.gate.signature import verify as verify_signature
from harness.gate.verdict import read_verdict, write_verdict
from harness.jobs import Job, Store
from harness.media.contents import read_contents
from harness.media.open import open_clip
from harness.media.pictures import read_mask, read_rgb
from harness.models.contract import check_graph
from harness.models.placeholder import write_placeholder
from harness.models.production import read_production
from harness.models.registry import Registry, find_model, verify
from harness.models.session import load_model
from harness.models.sidecar import read_training
from harness.quality.libvmaf import read_log
from harness.studies.roi.batch import read_list
from harness.studies.score.parity import Case, parity
from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.clips import write_clip, write_video
from tests.helpers.gate import POLICY, winning_tables
from tests.helpers.runs import about as run_about
from train.recipe import load_recipe

MODEL = ROOT / "model"
JOB = Job(sorted, {"iterable": [3, 1]})


@dataclass(frozen=True)
class Target:
    """A reader: the path that it is given is `asked` of a folder in which `file` holds the damaged bytes."""

    file: str
    seed: bytes
    read: Callable[[Path], object]
    asked: str = ""
    beside: tuple[tuple[str, bytes], ...] = ()


def targets(scratch: Path) -> dict[str, Target]:
    """All of them by name; `scratch` is for making the seeds."""
    write_placeholder(scratch / "placeholder.onnx")
    verdict = scratch / "verdict.json"
    write_verdict(judge(POLICY, winning_tables()), verdict)
    table = min((ROOT / "results").rglob("*.csv"), key=lambda path: path.stat().st_size)
    log = {"version": "3.0.0", "frames": [{"frameNum": n, "metrics": {"vmaf": 90.5}} for n in range(3)]}
    picture = Image.fromarray(np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3))
    project = b'encoder = "libx265"\n[roi-encode]\nbudget = "vmaf=2"\ncrf = 30\n[gate]\npolicy = "strict.toml"\n'
    Store(scratch / "jobs").save(JOB, [1, np.arange(4)])
    (record,) = (path for path in (scratch / "jobs").rglob("*") if path.is_file())
    sidecar, clip = "tiny/saliency_student_v1.json", str(write_clip(scratch / "a.y4m", (64, 48), 3))
    native = {"version": "3.0.0", "frames": [{"frameNum": n, "metrics": {"saliency_mean": 0.25}} for n in range(3)]}
    student = load_model(find_model("saliency_student_v1"))
    beside = ("tiny/registry.json", "tiny/saliency_student_v1.onnx")
    return {
        "json": Target("a.json", json.dumps(log).encode(), read_json),
        "manifest": Target("a.toml", (ROOT / "corpora/ecssd.toml").read_bytes(), _manifest),
        "recipe": Target("a.toml", (ROOT / "train/recipes/v3.toml").read_bytes(), lambda path: load_recipe("v3", path)),
        "policy": Target("a.toml", (ROOT / "harness/gate/gate.toml").read_bytes(), load_policy),
        "verdict": Target("a.json", verdict.read_bytes(), read_verdict),
        "registry": Target("tiny/registry.json", (MODEL / "tiny/registry.json").read_bytes(), Registry.read, "."),
        "production": Target("production.json", (MODEL / "production.json").read_bytes(), read_production, "."),
        "libvmaf": Target("a.json", json.dumps(log).encode(), lambda path: read_log(path, range(3), ("vmaf",))),
        "table": Target(table.name, table.read_bytes(), read_table, "", _beside(table)),
        "record": Target(f"{table.stem}.md", *_record(table)),
        "job": Target(str(record.relative_to(scratch / "jobs")), record.read_bytes(), _job, "."),
        "harness.toml": Target("harness.toml", project, _settings, "."),
        "sidecar": Target(sidecar, (MODEL / sidecar).read_bytes(), _verified, ".", _files(MODEL, beside)),
        "training": Target("a.json", (MODEL / sidecar).read_bytes(), read_training),
        "parity": Target("a.json", json.dumps(native).encode(), lambda path: parity([Case(path, clip, student)])),
        "list": Target("a.txt", b"one.mp4\ntwo/three.mkv\n", read_list),
        "y4m": Target("a.y4m", b"YUV4MPEG2 W16 H8 F25:1 C420jpeg\n" + 2 * (b"FRAME\n" + bytes(192)), _frames),
        "mp4": Target("a.mp4", write_video(scratch / "a.mp4", 3, 32, 16).read_bytes(), _frames),
        "mkv": Target("a.mkv", write_clip(scratch / "a.mkv", (32, 16), 3, audio=True).read_bytes(), _frames),
        "contents": Target("a.mp4", (scratch / "a.mp4").read_bytes(), lambda path: read_contents(open_clip(path))),
        "png": Target("a.png", _saved(picture, "PNG"), read_rgb),
        "jpeg": Target("a.jpg", _saved(picture, "JPEG"), read_rgb),
        "mask": Target("a.png", _saved(picture.convert("L"), "PNG"), read_mask),
        "zip": Target("a.zip", _zipped(), lambda path: unzip(path, path.parent / "out", 1 << 20)),
        "onnx": Target("a.onnx", (scratch / "placeholder.onnx").read_bytes(), check_graph),
        **(_of_signing(scratch, verdict) if shutil.which("ssh-keygen") else {}),
        **(_of_training(scratch) if find_spec("torch") else {}),
    }


def _of_signing(scratch: Path, verdict: Path) -> dict[str, Target]:
    """A verdict's signature, and the file of trusted keys."""
    key = scratch / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_bytes()
    files = {"verdict.json": verdict.read_bytes(), "verdict.json.sig": sign(verdict, key).read_bytes()}
    files["trusted_keys"] = b"ann " + public

    def read(folder: Path) -> object:
        return verify_signature(folder / "verdict.json", None, folder / "trusted_keys")

    return {
        name: Target(file, files[file], read, ".", tuple(each for each in files.items() if each[0] != file))
        for name, file in (("signature", "verdict.json.sig"), ("keys", "trusted_keys"))
    }


def _of_training(scratch: Path) -> dict[str, Target]:
    """What a run folder holds."""
    import torch

    from train.history import checkpoint, load_best, restore
    from train.publish import read_run

    row = dict.fromkeys(("epoch", "loss", "val_iou", "val_iou_per_image", "lr", "images_per_second", "seconds"), 1)
    text, about = (json.dumps(row) + "\n").encode(), json.dumps(run_about()).encode()
    layer = torch.nn.Conv2d(1, 2, 3)
    checkpoint(scratch, {"student": layer}, [])
    torch.save({"student": layer.state_dict()}, scratch / "best.pt")
    return {
        "run.json": Target("run.json", about, read_run, ".", (("history.jsonl", text),)),
        "history": Target("history.jsonl", text, read_run, ".", (("run.json", about),)),
        "best": Target("best.pt", (scratch / "best.pt").read_bytes(), lambda path: load_best(layer, path), "."),
        "checkpoint": Target(
            "checkpoint.pt", (scratch / "checkpoint.pt").read_bytes(),
            lambda path: restore(path, {"student": layer}, torch.device("cpu")), ".",
        ),
    }  # fmt: skip


def _record(table: Path) -> tuple[bytes, Callable[[Path], object], str, tuple[tuple[str, bytes], ...]]:
    """The page that says how a table was made, damaged instead of the table."""
    page = table.with_name(table.name.split(".")[0] + ".md")
    return page.read_bytes(), read_table, table.name, ((table.name, table.read_bytes()),)


def _files(folder: Path, names: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, (folder / name).read_bytes()) for name in names)


def _manifest(path: Path) -> object:
    """Read anew: a process reads each place once."""
    manifest._read.cache_clear()
    return load_manifest(str(path))


def _job(folder: Path) -> object:
    """A damaged record is computed again, with a word in the log: as an error here, so that it counts."""
    if found := Store(folder).load(JOB):
        return found.result
    raise InputError("not what was written")


def _settings(folder: Path) -> object:
    project = find_project_file(folder)
    return settings(project, whole_application(), COMMANDS) if project else None


def _verified(folder: Path) -> None:
    """`registry verify` gives findings; one that is bad is an error here."""
    for finding in verify(folder):
        if finding.subject == "saliency_student_v1" and finding.problem:
            raise InputError(finding.problem)


def _beside(table: Path) -> tuple[tuple[str, bytes], ...]:
    others = table.parent.glob(table.name.split(".")[0] + ".*")
    return tuple((path.name, path.read_bytes()) for path in others if path != table)


def _frames(path: Path) -> list[Any]:
    return list(open_clip(path))


def _saved(picture: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def _zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/images/a.txt", "text " * 50)
        archive.writestr("set/masks/a.txt", "")
    return stream.getvalue()
