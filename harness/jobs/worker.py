"""What a worker does: some jobs, by the code that was asked for, whose results it keeps itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job, run_batch
from harness.jobs.provenance import made_by
from harness.jobs.store import Store

Kept = tuple[Any, bool]
"""A result, and whether it is in the store."""


class Unbegun(Exception):
    """A call's worker was lost over another call before its turn, or after what it did was kept."""


def work(jobs: Sequence[Job], store: Store, elsewhere: bool) -> list[Kept]:
    """The results of one of `in_batches`, kept before anybody hears of them: a coordinator that died loses none.

    `elsewhere` asks whether this machine has the same code and libraries. Raises `HarnessError` where it has not.
    """
    if elsewhere:
        _refuse_others(jobs[0])
    return [_keep(store, job, result) for job, result in zip(jobs, run_batch(jobs), strict=True)]


def _keep(store: Store, job: Job, result: Any) -> Kept:
    try:
        return store.save(job, result), True
    except HarnessError:
        return result, False  # whoever asked keeps it, or says why not


def _refuse_others(job: Job) -> None:
    asked, here = job.made_by, made_by(job.function.__module__)
    if asked == here:
        return
    wanted, found = asked["versions"], here["versions"]
    others = [
        f"{name} {found.get(name, 'none')} (asked for: {wanted.get(name, 'none')})"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    if asked["code"] != here["code"]:
        others.append(f"other code in {job.function.__module__} or below it")
    raise HarnessError(
        f"worker {platform.node()}:{os.getpid()} has {', '.join(others)}: it would give other numbers; "
        "install there what is here"
    )
