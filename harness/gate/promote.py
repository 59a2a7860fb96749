"""Which model is in production, and the acts that change it: a beginning, promotion by a verdict, and rollback.

A verdict is believed as far as its tables bear it: they are judged again, by the registry's own policy and the code at
hand, and kept with it beside `production.json`, so that `findings` can judge them once more at any time. A signature of
it must be of a trusted key; the policy says whether there must be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, InputError
from harness.gate import kept
from harness.gate.evidence import read_tables
from harness.gate.judge import judge, judging_code, table_digest
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.recheck import recheck_tables, refuse_differing
from harness.gate.signature import KEYS, checked, required
from harness.gate.verdict import UNHASHED, Decision, Verdict, read_verdict
from harness.jobs.provenance import code_digest
from harness.locks import folder_held
from harness.models import registry
from harness.models.folders import PATIENCE, model_folder, own_model_folder
from harness.models.production import FILE, PROMOTE, ROLLBACK, Act, Pointer, read_production, write_production
from harness.models.registry import Finding, Registry
from harness.tables import Table

CHANGED = "+"  # ends the commit of a tree that differed from it


def in_production(folder: Path | None = None) -> Pointer | None:
    """What is in production now, or None."""
    return read_production(folder or model_folder()).now


def begin(model_id: str, folder: Path | None = None) -> Pointer:
    """Name the model that is in production before any verdict; once, then only a verdict changes it.

    Raises:
        InputError: For a model that is not registered, or is there for smoke tests, and while another process changes
            the folder.
        HarnessError: When a model is or was in production.
    """
    folder = folder or own_model_folder()
    with folder_held(folder, f"beginning with {model_id}", PATIENCE):
        now = read_production(folder).now
        if now is not None:
            raise HarnessError(f"{now.id} is in production: from here on only a verdict puts a model there")
        if kept.any_in(folder):
            raise HarnessError(
                f"{folder / FILE} is gone, but verdicts are on record: restore it (allowed: begin, once)"
            )
        sha256 = _sound(model_id, Registry.read(folder))
        return _top(write_production(folder, Pointer(model_id, sha256, None, _now())).stack)


def promote(
    model_id: str, verdict_file: Path, folder: Path | None = None, *, again: int = 0, root: Path | None = None
) -> Pointer:
    """Put a registered model into production on the strength of a verdict.

    Args:
        model_id: Whom the verdict must be about.
        verdict_file: The gate's `verdict.json`; the tables that it was decided on lie beside it in `evidence`, and its
            signature, where there is one, as `verdict.json.sig`.
        folder: The model folder, whose own policy counts.
        again: Random rows of each kind to measure again first, as `recheck` does.
        root: The folder of corpora, for that.

    Returns:
        The pointer to it.

    Raises:
        InputError: For a file that is no verdict, for evidence that was changed by hand, and while another process
            changes the folder.
        HarnessError: For a verdict that does not say PROMOTE, may not lead to a promotion, was used before, does not
            follow from its evidence by today's rules and code, or is not about these very files; without a signature of
            a trusted key where the policy requires one, or with one that is of no such key; where nothing is in
            production.
    """
    folder, file = folder or own_model_folder(), Path(verdict_file)
    with folder_held(folder, f"promoting {model_id}", PATIENCE):
        production, models = read_production(folder), Registry.read(folder)
        if production.now is None:
            raise HarnessError("nothing is in production: name the model that is, by `harness registry begin`, first")
        verdict, policy = read_verdict(file), load_policy(models=folder)
        tables = read_tables(file.parent / "evidence")
        _refuse_unjust(verdict, policy, file)
        signature = checked(verdict, file, folder / KEYS, required(policy))
        _refuse_unproven(verdict, policy, tables, file)
        if verdict.digest in production.used:
            raise HarnessError(f"{file} promoted already (allowed: each verdict once; gate again)")
        if verdict.candidate.id != model_id:
            raise HarnessError(f"{file} is about {verdict.candidate.id}, not {model_id}")
        if _sound(model_id, models) != verdict.candidate.sha256:
            raise HarnessError(f"{model_id} has changed since {file}: the verdict is about other weights")
        if production.now.sha256 == verdict.candidate.sha256:
            raise HarnessError(f"{model_id} is in production already")
        if production.now.sha256 != verdict.incumbent.sha256:
            compared, now = verdict.incumbent.id, production.now.id
            raise HarnessError(f"{file} is stale: it compares with {compared}, in production is {now}")
        if again:
            refuse_differing(recheck_tables(verdict, tables, file, again, root=root, models=folder), file)
        act = Act(PROMOTE, model_id, verdict.candidate.sha256, verdict.digest, policy.sha256, _now())
        after = production.then(act)
        kept.keep(folder, verdict, tables, signature)
        write_production(folder, production.stack[0], after.acts)
        return _top(after.stack)


def rollback(folder: Path | None = None) -> Pointer:
    """Return to the model that was in production before.

    Raises:
        InputError: While another process changes the folder.
        HarnessError: When there is none or it has changed.
    """
    folder = folder or own_model_folder()
    with folder_held(folder, "rolling back", PATIENCE):
        production = read_production(folder)
        if len(production.stack) < 2:
            raise HarnessError("nothing to roll back to: no promotion is on record")
        left, back = production.stack[-1], production.stack[-2]
        if _sound(back.id, Registry.read(folder)) != back.sha256:
            raise HarnessError(f"{back.id} has changed since it was in production")
        after = production.then(Act(ROLLBACK, left.id, left.sha256, str(left.verdict), None, _now()))
        write_production(folder, production.stack[0], after.acts)
        return _top(after.stack)


def findings(folder: Path | None = None, keys: Path | None = None) -> list[Finding]:
    """What `registry.verify` finds, and one finding for each promotion, whose tables are judged again by its policy.

    Where verdicts are on record but `production.json` is gone, that is one more. A signature is checked again as of the
    time of its promotion. With `keys`, a file of trusted keys from elsewhere, every promotion must be signed by one.
    """
    folder = folder or model_folder()
    found = registry.verify(folder)
    try:
        production = read_production(folder)
    except InputError:
        return found  # the registry's finding says why
    if production.now is None and kept.any_in(folder):
        found.append(Finding(FILE, "is gone, but verdicts are on record"))
    before = production.stack[:1]
    for act in production.acts:
        if act.act == PROMOTE:
            found.append(Finding(f"verdict {act.verdict[:12]}…", _broken(folder, act, before[-1], keys)))
        before = (*before, act.pointer) if act.act == PROMOTE else before[:-1]
    return found


def _broken(folder: Path, act: Act, before: Pointer, keys: Path | None) -> str | None:
    """Why a promotion on record does not stand on its verdict, or None."""
    try:
        verdict, tables = kept.recall(folder, act.verdict)
        policy, file = policy_of(verdict.policy["content"]), kept.place(folder, act.verdict)
        _refuse_unjust(verdict, policy, file)
        checked(verdict, file, keys or folder / KEYS, required(policy) or keys is not None, act.since)
    except HarnessError as error:
        return str(error)
    said = (verdict.digest, verdict.candidate.id, verdict.candidate.sha256, verdict.policy["sha256"])
    if said != (act.verdict, act.id, act.sha256, act.policy):
        return f"the verdict on record is about {verdict.candidate.id}, not what {FILE} says of {act.id}"
    if verdict.incumbent.sha256 != before.sha256:
        return f"it compares with {verdict.incumbent.id}, in production was {before.id}"
    found = {(table.kind, table.name): table_digest(table) for table in tables}
    if found != {(one.kind, one.name): one.sha256 for one in verdict.tables}:
        return "its tables are not those that it was decided on"
    again = judge(policy, tables)
    return None if again.promotable else f"its tables say {again.decision} today"


def _refuse_unjust(verdict: Verdict, policy: Policy, file: Path) -> None:
    """What a verdict says of itself must allow a promotion, by the rules that count."""
    if verdict.decision is not Decision.PROMOTE:
        raise HarnessError(f"{file} says {verdict.decision}, only PROMOTE can be promoted")
    if verdict.limits:
        raise HarnessError(f"{file} can promote nothing: {verdict.limits[0]}")
    if policy_of(verdict.policy["content"]).sha256 != verdict.policy["sha256"]:
        raise HarnessError(f"{file}: its policy is not the one whose digest it names")
    if verdict.policy["sha256"] != policy.sha256:
        raise HarnessError(f"{file} is stale: its policy is not the registry's (sha256 {policy.sha256[:12]}…)")


def _refuse_unproven(verdict: Verdict, policy: Policy, tables: Sequence[Table], file: Path) -> None:
    """The tables must give the verdict again, and code that is committed and the same today must have measured them."""
    again = judge(policy, tables)
    own, new = verdict.content(), again.content()
    for key in dict.fromkeys((*own, *new)):
        if key not in (*UNHASHED, "code") and own.get(key) != new.get(key):
            raise HarnessError(f"{file} does not follow from the tables in {file.parent / 'evidence'}: {key}")
    if verdict.code["digest"] != judging_code(policy):
        raise HarnessError(f"{file} is stale: other code judged it (allowed: judge again, by `harness gate --from`)")
    by_name = {(table.kind, table.name): table for table in tables}
    for one in verdict.tables:
        module = by_name[one.kind, one.name].code.module
        if module and code_digest(module) != one.code:
            raise HarnessError(f"{file} is stale: other code measured {one.name} ({module}; gate again)")
    for what, commit in (("judged", verdict.code["commit"]), *(("measured", one.commit) for one in verdict.tables)):
        if commit.endswith(CHANGED):
            raise HarnessError(f"{file} was {what} by code that differs from commit {commit[:12]} (commit, gate again)")


def _sound(model_id: str, models: Registry) -> str:
    """The SHA-256 of a registered model that is what the registry says, and no smoke test."""
    entry = models.entry(model_id)
    if entry is None:
        known = ", ".join(other["id"] for other in models.models)
        raise InputError(f"{model_id} is not in the registry (allowed: {known})")
    if entry.get("smoke"):
        raise InputError(f"{model_id} is for smoke tests (allowed: a model that was trained)")
    if problem := models.problem(models.find(model_id)):
        raise HarnessError(f"{model_id} has changed: {problem}")
    return str(entry["sha256"])


def _top(stack: Sequence[Pointer]) -> Pointer:
    return stack[-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
