"""Measure by the studies, judge the tables, write the verdict; or judge tables that exist already."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import InputError
from harness.files import write_text
from harness.gate.context import Contender, Context, pair_of
from harness.gate.data import clips_of, pairs_of, refuse_unknown_sets
from harness.gate.estimate import expected
from harness.gate.evidence import read_tables
from harness.gate.groups import roi
from harness.gate.judge import judge, refuse_unknown, rules_of
from harness.gate.looks import looks_of
from harness.gate.measure import gather
from harness.gate.pair import PAIR, pair_table
from harness.gate.policy import Policy, load_policy
from harness.gate.power import foresee
from harness.gate.text import markdown
from harness.gate.verdict import Decision, Verdict, write_verdict
from harness.jobs import executor_maker
from harness.jobs.provenance import processor_name
from harness.locks import folder_held
from harness.models.registry import Registry
from harness.tables import Table


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
    executor: str | None = None,
    announce: Callable[[str], None] = print,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verdict:
    """Measure a candidate against the incumbent and decide.

    Args:
        incumbent: What it must beat: a registry id, `production` or a path.
        candidate: The new weights, likewise.
        out: Gets `verdict.json`, `verdict.md` and, in `evidence`, the tables behind them; a second run takes up
            whatever table it would measure again to the same, but not while the first one works.
        profile: What to measure on, as the policy names it.
        policy: The rules [default: the registry's own].
        root: The folder of corpora.
        models: The model folder.
        workers: Processes [default: one a core].
        executor: Where jobs run instead, as for `harness.evaluate`; times and memory are measured here all the same.
        announce: Hears what is being done.
        progress: Hears (what, done, all) of images, clips and arms [default: each tenth is announced].

    Returns:
        The verdict that `judge` gives on those tables; of a sequential policy that of the first look that decides.

    Raises:
        InputError: For an unknown model, profile, root or name in the policy, an incumbent that does not load, or
            evidence that was changed by hand. What merely cannot be measured ends as INCONCLUSIVE checks.
    """
    if executor:
        executor_maker(executor)  # refused before anything is measured
        if workers:
            raise InputError(f"{workers} workers with executor {executor} (allowed: one of the two)")
    policy = policy or load_policy(models=models)
    chosen, registry = policy.profile(profile), Registry.read(models)
    refuse_unknown(policy, chosen)
    refuse_unknown_sets(chosen, root)
    context = Context(
        incumbent=Contender.of(incumbent, registry),
        candidate=Contender.of(candidate, registry),
        policy=policy,
        profile=chosen,
        out=Path(out),
        root=root,
        registry=registry,
        workers=workers or os.cpu_count() or 1,
        executor=executor,
        announce=announce,
        progress=progress,
    )
    context.incumbent.load()
    with folder_held(context.out):
        _tell(context)
        for look in looks_of(policy):
            gather(replace(context, look=look))
            verdict = conclude(policy, read_tables(context.evidence), context.out)
            if verdict.look:
                context.announce(f"{verdict.decision} at {verdict.look}")
            if verdict.decision is not Decision.INCONCLUSIVE:
                break
        return verdict


def _tell(context: Context) -> None:
    """Announce what will be measured, what is missing for it, and what it can show."""
    profile, policy = context.profile, context.policy
    for name in profile.accuracy:
        reason = _absent(pairs_of, context, name)
        context.announce(f"{name}: {reason or f'{profile.pairs[name]:,} pairs'}")
    reason = _absent(clips_of, context)
    context.announce(f"{profile.clips}: {reason or _clips_in_words(context)}")
    context.announce(f"takes {expected(context)}")
    for each in foresee(policy, rules_of(policy, profile)):
        context.announce(f"foreseen: {each}")


def _clips_in_words(context: Context) -> str:
    """How many clips, and how much of each is read and encoded."""
    profile, words = context.profile, [f"{len(context.profile.clip_names)} clips"]
    upto = "up to " if profile.whole_clips else ""
    words.append(f"{upto}{profile.frames} frames of each")
    if roi.NAME in context.policy.groups:
        words.append(f"{upto}{roi.frames_of(roi.Settings.of(context.policy), profile)} of these for ROI")
    return ", ".join(words)


def _absent(find: Callable[..., object], *given: object) -> str:
    """Why a set cannot be measured, in a line; its checks will be undecided, and all others are made."""
    try:
        find(*given)
    except InputError as error:
        return f"missing ({error}); its checks will be INCONCLUSIVE"
    return ""


def judge_folders(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    policy: Policy | None = None,
    candidate: str | None = None,
    incumbent: str = "production",
    profile: str = "full",
    models: Path | None = None,
) -> Verdict:
    """Judge tables that exist, published ones or the evidence of an earlier run.

    Args:
        folders: Where they lie.
        out: Gets `verdict.json` and `verdict.md`; None writes nothing.
        policy: The rules [default: the registry's own].
        candidate: Whom to judge, by registry id or path [default: whom the evidence is about].
        incumbent: Whom it must beat; read where `candidate` is given.
        profile: What must have been measured; read where `candidate` is given.
        models: The model folder.

    Returns:
        The verdict that `judge` gives on those tables: of the same tables the same, to the digit.

    Raises:
        InputError: As `judge` and `read_tables` do.
    """
    tables = read_tables(*folders)
    if candidate is not None:
        registry = Registry.read(models)
        pair = pair_of(Contender.of(incumbent, registry), Contender.of(candidate, registry), profile)
        words = " ".join(f"--from {folder}" for folder in folders)
        command = f"harness gate {words} --incumbent {incumbent} --candidate {candidate} --profile {profile}"
        tables = [pair_table(pair, command), *(table for table in tables if table.kind != PAIR)]
    return conclude(policy or load_policy(models=models), tables, out)


def conclude(policy: Policy, tables: Sequence[Table], out: Path | None) -> Verdict:
    """`judge`, with the time and the machine added, and written into `out`."""
    machine = {"platform": platform.platform(), "processor": processor_name(), "cores": os.cpu_count()}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    verdict = replace(judge(policy, tables), created=created, machine=machine)
    if out is not None:
        write_verdict(verdict, out / "verdict.json")
        write_text(out / "verdict.md", markdown(verdict))
    return verdict
