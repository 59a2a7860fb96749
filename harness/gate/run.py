"""Collect all evidence, judge it by the policy, and write the verdict."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.files import write_text
from harness.gate.context import Contender, Context
from harness.gate.evidence import Evidence, remembered
from harness.gate.groups import accuracy, contract, cost, feature, roi
from harness.gate.policy import Policy, load_policy
from harness.gate.rules import PARITY, judge, rules_of
from harness.gate.settings import refuse_unknown
from harness.gate.verdict import Verdict, markdown, write_verdict
from harness.jobs.provenance import library_versions, processor_name
from harness.models.registry import Registry

GROUPS: tuple[ModuleType, ...] = (contract, accuracy, feature, roi, cost)
EXTRACTOR = "mobilesal"


def run_gate(
    incumbent: str,
    candidate: str,
    out: Path,
    *,
    profile: str = "full",
    policy: Policy | None = None,
    root: Path | None = None,
    models: Path | None = None,
    workers: int | None = None,
    announce: Callable[[str], None] = print,
) -> Verdict:
    """Measure `candidate` against `incumbent` (ids, `production`, or paths) and decide.

    Writes `verdict.json`, `verdict.md` and the evidence behind them into `out`; a second run takes up whatever
    evidence was made from the same inputs. Raises `InputError` for an unknown model, profile, root or name in the
    policy, an incumbent that does not load, or evidence that was changed by hand; what merely cannot be measured ends
    as INCONCLUSIVE checks.
    """
    policy = policy or load_policy()
    chosen, registry = policy.profile(profile), Registry.read(models)
    context = Context(
        registry=registry,
        incumbent=Contender.of(incumbent, registry),
        candidate=Contender.of(candidate, registry),
        policy=policy,
        profile=chosen,
        out=Path(out),
        root=root,
        workers=workers or os.cpu_count() or 1,
        announce=announce,
    )
    refuse_unknown(context)
    context.incumbent.load()
    code = _code()
    gathered = [_evidence(module, context, code) for module in GROUPS]
    measurements = tuple(item for evidence in gathered for item in evidence.measurements)
    unavailable = {key: reason for evidence in gathered for key, reason in evidence.unavailable.items()}
    missing = unavailable | {key: reason for evidence in gathered for key, reason in evidence.missing.items()}
    rules = rules_of(policy, chosen, native=PARITY not in unavailable)
    verdict = Verdict(
        extractor=EXTRACTOR,
        profile=profile,
        limits=_limits(context, profile),
        incumbent=context.incumbent.side,
        candidate=context.candidate.side,
        policy={"name": policy.name, "sha256": policy.sha256, "content": policy.content},
        checks=judge(rules, measurements, policy.statistics.level, missing),
        measurements=measurements,
        missing=missing,
        inputs={key: digest for evidence in gathered for key, digest in evidence.inputs.items()},
        code=code,
        versions=library_versions(),
        commands=(context.command, *accuracy.commands(context), *roi.commands(context)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine={"platform": platform.platform(), "processor": processor_name(), "cores": os.cpu_count()},
    )
    write_verdict(verdict, context.out / "verdict.json")
    write_text(context.out / "verdict.md", markdown(verdict))
    return verdict


def _evidence(module: ModuleType, context: Context, code: dict[str, Any]) -> Evidence:
    """A group's evidence, kept or new; what stops it from being gathered becomes the reason why it is missing."""
    group: str = module.GROUP
    context.announce(f"{group} …")
    try:
        made_from = {
            "weights": [contender.sha256 for contender in context.pair],
            "names": [contender.file.name for contender in context.pair],
            "policy": context.policy.content[group],
            "statistics": context.policy.content["statistics"],
            "profile": asdict(context.profile),
            "data": module.inputs(context),
            "code": code["digest"],
            "versions": library_versions(),
        }
    except HarnessError as error:
        return Evidence(group, missing={group: str(error)})

    def gather() -> Evidence:
        try:
            found: Evidence = module.gather(context)
            return found
        except HarnessError as error:
            return Evidence(group, missing={group: str(error)})

    return remembered(context.out / "evidence", group, made_from, gather)


def _limits(context: Context, profile: str) -> tuple[str, ...]:
    limits = []
    if not context.profile.promotable:
        limits.append(f"profile {profile} measures on generated pictures and can promote nothing")
    if not context.candidate.registered:
        limits.append("the candidate was given as a path: only a registered model can be promoted")
    if context.candidate.sha256 == context.incumbent.sha256:
        limits.append("candidate and incumbent are the same file")
    return tuple(limits)


def _code() -> dict[str, Any]:
    """The commit, whether the tree differs from it (both None outside a checkout), and a digest of the sources."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for folder in ("harness", "corpora"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".toml") and path.is_file():
                digest.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n".encode())
                digest.update(path.read_bytes())
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    status = _git(root, "status", "--porcelain") if commit else None
    return {"commit": commit, "changed": None if status is None else bool(status), "digest": digest.hexdigest()}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
