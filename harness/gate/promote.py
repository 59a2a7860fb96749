"""Which model is in production, and the acts that change it: a beginning, promotion by a verdict, and rollback."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.gate.judge import rules_of
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.rules import checks_of
from harness.gate.verdict import Decision, Verdict, read_verdict
from harness.models.production import Pointer, read_production, write_production
from harness.models.registry import find_model, model_folder


def in_production(folder: Path | None = None) -> Pointer | None:
    """What is in production now, or None."""
    stack, _ = read_production(folder or model_folder())
    return stack[-1] if stack else None


def promote(model_id: str, verdict_file: Path, folder: Path | None = None, policy: Policy | None = None) -> Pointer:
    """Put a registered model into production on the strength of a verdict.

    Raises `HarnessError` for a verdict that does not say PROMOTE, is partial, or is stale: made under another policy
    than `policy` (the shipped one), for other weights, or against another incumbent than the one in production.
    Raises `InputError` for a file that is no verdict or was changed by hand.
    """
    verdict = read_verdict(verdict_file)
    policy = policy or load_policy()
    _refuse_unjust(verdict, policy, verdict_file)
    if verdict.candidate.id != model_id:
        raise HarnessError(f"{verdict_file} is about {verdict.candidate.id}, not {model_id}")
    _refuse_other_file(model_id, verdict.candidate.sha256, "the verdict", folder)
    current = in_production(folder)
    if current and current.sha256 != verdict.incumbent.sha256:
        raise HarnessError(
            f"{verdict_file} is stale: it compares with {verdict.incumbent.id}, in production is {current.id}"
        )
    if current and current.sha256 == verdict.candidate.sha256:
        raise HarnessError(f"{model_id} is in production already")
    pointer = Pointer(model_id, verdict.candidate.sha256, verdict.digest, _now())
    stack, history = read_production(folder or model_folder())
    act = {"act": "promote", **asdict(pointer)}
    return write_production(folder or model_folder(), [*stack, pointer], [*history, act])


def begin(model_id: str, folder: Path | None = None) -> Pointer:
    """Name the model that is in production before any verdict.

    Raises `HarnessError` once one is named: from then on only a verdict changes it. Until the first promotion the same
    id may begin again when the registry has other weights for it, for then the pointer leads nowhere.
    """
    stack, history = read_production(folder or model_folder())
    model = find_model(model_id, folder)
    if stack and (history or stack[-1].id != model_id or stack[-1].sha256 == model.registered):
        raise HarnessError(f"{stack[-1].id} is in production: from here on only a verdict puts a model there")
    if model.registered is None:
        raise InputError(f"{model_id} is not in the registry (allowed: a registered id)")
    _refuse_other_file(model_id, model.registered, "the registry", folder)
    return write_production(folder or model_folder(), [Pointer(model_id, model.registered, None, _now())], [])


def rollback(folder: Path | None = None) -> Pointer:
    """Return to the model that was in production before; `HarnessError` when there is none or it has changed."""
    stack, history = read_production(folder or model_folder())
    if len(stack) < 2:
        raise HarnessError("nothing to roll back to: no promotion is on record")
    left, back = stack[-1], stack[-2]
    _refuse_other_file(back.id, back.sha256, "production.json", folder)
    act = {"act": "rollback", "id": left.id, "sha256": left.sha256, "verdict": left.verdict, "since": _now()}
    return write_production(folder or model_folder(), stack[:-1], [*history, act])


def _refuse_unjust(verdict: Verdict, policy: Policy, file: Path) -> None:
    """A verdict counts only if today's rules, applied to what it measured, say the same."""
    if verdict.decision is not Decision.PROMOTE:
        raise HarnessError(f"{file} says {verdict.decision}, only PROMOTE can be promoted")
    if verdict.limits:
        raise HarnessError(f"{file} is partial: {verdict.limits[0]}")
    if policy_of(verdict.policy["content"]).sha256 != policy.sha256:
        raise HarnessError(f"{file} is stale: its policy is not the one in force (sha256 {policy.sha256[:12]}…)")
    profile = policy.profile(verdict.profile)
    if not profile.promotable:
        raise HarnessError(f"{file} is partial: profile {verdict.profile} can promote nothing")
    rules = rules_of(policy, profile, verdict.missing.keys() - {item.key for item in verdict.measurements})
    again = checks_of(rules, verdict.measurements, policy.statistics.level, verdict.missing)
    said = {check.key: check.outcome for check in verdict.checks}
    differs = [check.name for check in again if said.get(check.key) is not check.outcome]
    if differs or len(again) != len(verdict.checks):
        what = differs[0] if differs else "the number of checks"
        raise HarnessError(f"{file} does not follow from its own measurements: {what}")


def _refuse_other_file(model_id: str, sha256: str, source: str, folder: Path | None) -> None:
    model = find_model(model_id, folder)
    if model.registered is None:
        raise InputError(f"{model_id} is not in the registry (allowed: a registered id)")
    for place, found in (("the registry", model.registered), ("the file", model.sha256)):
        if found != sha256:
            raise HarnessError(f"{model_id} has changed: {source} has sha256 {sha256[:12]}…, {place} {found[:12]}…")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
