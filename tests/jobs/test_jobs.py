"""Jobs: content keys, a store that resumes, every executor with the same results, killed workers retried."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, InputError
from harness.jobs import Job, Store, open_executor, run_jobs
from harness.jobs.executors import SerialExecutor, SubmititExecutor
from harness.jobs.provenance import code_digest
from tests.helpers import ROOT


def square(number: int, calls: str | None = None) -> int:
    if calls:
        (Path(calls) / f"{number}.{os.getpid()}.{os.urandom(4).hex()}").touch()
    return number * number


def refuse(number: int) -> int:
    raise InputError(f"number {number} (allowed: none)")


def die_once(number: int, folder: str) -> int:
    mark = Path(folder) / f"died-{number}"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def jobs_of(count: int, **more: Any) -> list[Job]:
    return [Job(square, {"number": number, **more}) for number in range(count)]


def test_keys_follow_content_not_order() -> None:
    first = Job(square, {"number": 1, "calls": None}, {"clip": "aa"})
    assert first.key == Job(square, {"calls": None, "number": 1}, {"clip": "aa"}).key
    others = [Job(square, {"number": 2, "calls": None}, {"clip": "aa"}), Job(square, {"number": 1}, {"clip": "aa"})]
    others += [Job(square, {"number": 1, "calls": None}, {"clip": "ab"}), Job(refuse, first.arguments, first.inputs)]
    assert len({first.key, *(job.key for job in others)}) == 5


def test_keys_follow_the_code_that_the_job_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        code_digest("harness.studies.roi.sweep")
        != code_digest("harness.studies.score.ladder")
        != code_digest(square.__module__)
    )
    first = {name: code_digest.__wrapped__(name) for name in ("harness.studies.roi.sweep", "harness.models.card")}
    read = Path.read_text

    def edited(path: Path, encoding: str) -> str:
        return read(path, encoding) + ("other = 1\n" if path.name == "offsets.py" else "")

    monkeypatch.setattr(Path, "read_text", edited)
    assert code_digest.__wrapped__("harness.studies.roi.sweep") != first["harness.studies.roi.sweep"]
    assert code_digest.__wrapped__("harness.models.card") == first["harness.models.card"]


def test_keys_follow_the_ffmpeg_that_would_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, other = Job(square, {"number": 1}).key, tmp_path / "ffmpeg"
    other.write_text("#!/bin/sh\necho ffmpeg version 0.0-other\n")
    other.chmod(0o755)
    monkeypatch.setenv("HARNESS_FFMPEG", str(other))
    assert Job(square, {"number": 1}).key != before


def test_equal_jobs_run_once_and_a_rerun_computes_only_what_is_missing(tmp_path: Path) -> None:
    calls, store = tmp_path / "calls", Store(tmp_path / "store")
    calls.mkdir()
    jobs = jobs_of(3, calls=str(calls))
    assert run_jobs(jobs * 2, SerialExecutor, store) == [0, 1, 4, 0, 1, 4]
    assert len(list(calls.iterdir())) == 3
    next(path for path in store.folder.rglob("*.json") if jobs[1].key in path.name).unlink()  # type: ignore[union-attr]
    heard: list[tuple[int, int]] = []
    assert run_jobs(jobs, SerialExecutor, store, lambda *both: heard.append(both)) == [0, 1, 4]
    assert len(list(calls.iterdir())) == 4 and heard == [(2, 3), (3, 3)]


def test_a_failed_job_stops_the_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(InputError, match="number 9"):
        run_jobs([*jobs_of(2), Job(refuse, {"number": 9})], SerialExecutor, store)
    assert all(job in store for job in jobs_of(2))


def test_a_foreign_file_in_the_store_is_refused(tmp_path: Path) -> None:
    job = jobs_of(1)[0]
    Store(tmp_path).save(job, 0)
    next(tmp_path.rglob("*.json")).write_text('{"key": "other", "result": 5}')
    with pytest.raises(InputError, match="delete it"):
        run_jobs([job], SerialExecutor, Store(tmp_path))


def test_processes_give_the_same_and_a_killed_worker_is_retried(tmp_path: Path) -> None:
    opened: list[Executor] = []

    def executor() -> Executor:
        opened.append(open_executor("local:2"))
        return opened[-1]

    assert run_jobs(jobs_of(4), executor) == [0, 1, 4, 9]
    jobs = [Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(4)]
    assert run_jobs(jobs, executor) == [0, 1, 2, 3]
    assert len(opened) == 3


def test_a_job_that_always_kills_its_worker_is_an_error() -> None:
    with pytest.raises(HarnessError, match="lost their worker 3 times"):
        run_jobs([Job(die, {"number": 1})], lambda: open_executor("local:2"))


@pytest.mark.parametrize("text", ["gpu", "local:0", "local:x", "dask:host", ""])
def test_unknown_executors_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="allowed: local"):
        open_executor(text)


def test_slurm_without_slurm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="sbatch"):
        open_executor("slurm")


@pytest.mark.parametrize("cluster", ["debug", "local"])
def test_submitit_gives_the_same(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (Path(__file__).parent, ROOT))))
    assert run_jobs(jobs_of(2), lambda: SubmititExecutor(cluster, tmp_path, timeout_min=2)) == [0, 1]


def test_dask_with_two_workers_gives_the_same_and_retries_a_killed_one(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        jobs = [Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(4)]
        assert run_jobs([*jobs_of(3), *jobs], lambda: open_executor(address)) == [0, 1, 4, 0, 1, 2, 3]


def test_dask_without_a_scheduler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("harness.jobs.executors.ANSWER_SECONDS", 1)
    with pytest.raises(HarnessError, match="no dask scheduler"):
        open_executor("dask://127.0.0.1:9")
