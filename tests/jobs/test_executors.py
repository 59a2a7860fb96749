"""Where jobs run: what `--executor` says, and the same results under dask and SLURM, whatever is lost there."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, InputError, LostError
from harness.jobs import Job, Store, executor_maker, open_executor, run_jobs
from harness.jobs.executors import SerialExecutor
from harness.jobs.slurm import SlurmOptions, SubmititExecutor
from tests.helpers import ROOT
from tests.helpers.jobs import die_once, jobs_of, refuse


@pytest.mark.parametrize("text", ["gpu", "local:0", "local:x", "dask:host", ""])
def test_unknown_executors_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="allowed: local"):
        open_executor(text)


@pytest.mark.parametrize(
    "text",
    ["partition", "tasks=0", "tasks=1001", "time=soon", "time=0", "time=1:2:3:4", "mem=1,mem=2", "mem=1 G", "M=1"],
)
def test_what_slurm_is_asked_is_read_before_any_work(text: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        executor_maker(f"slurm:{text}")


def test_slurm_options_reach_submitit() -> None:
    submitit = pytest.importorskip("submitit")
    asked = SlurmOptions.parse("tasks=20,parallel=5,partition=a,b,account=us,mem=4G,time=1-0,qos=long,exclusive=")
    sheet = submitit.slurm.slurm._make_sbatch_string(
        "true", "logs", map_count=20, **{key.removeprefix("slurm_"): value for key, value in asked.parameters.items()
        if key != "timeout_min"}, time=asked.parameters["timeout_min"],
    )  # fmt: skip
    flags = {line.removeprefix("#SBATCH --") for line in sheet.splitlines() if line.startswith("#SBATCH")}
    assert asked.tasks == 20 and flags >= {
        "partition=a,b", "account=us", "mem=4G", "time=1440", "qos=long", "exclusive", "array=0-19%5",
        "cpus-per-task=2",
    }  # fmt: skip


def test_slurm_without_slurm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="sbatch"):
        open_executor("slurm")


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["debug", "local"])
def test_submitit_gives_the_same(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run_jobs(jobs_of(2), lambda: SubmititExecutor(cluster, tmp_path, timeout_min=2)) == [0, 1]


@pytest.mark.slow
def test_many_jobs_are_few_tasks_that_one_thread_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One share loses its worker at first, one job fails: neither costs what the others did."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    jobs, store, threads = jobs_of(100), Store(tmp_path / "store"), set[int]()
    dying = [Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(3)]
    start = partial(SubmititExecutor, "local", tmp_path / "logs", 2, timeout_min=2)
    found = run_jobs([*dying, *jobs], start, store, lambda done, total: threads.add(threading.active_count()))
    assert found == [0, 1, 2, *(number * number for number in range(100))]
    assert max(threads) - min(threads) <= 1 and not list((tmp_path / "logs").iterdir())
    with pytest.raises(InputError, match="number 9"):
        run_jobs([Job(refuse, {"number": 9}), *jobs_of(3, calls=str(tmp_path))], start, store)


@pytest.mark.slow
def test_slurm_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    if not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no SLURM here")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.jobs.slurm.ASK_SECONDS", 2)
    monkeypatch.setattr("harness.jobs.slurm.GONE_SECONDS", 2)
    jobs = [*jobs_of(6), *(Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(4))]
    found = run_jobs(jobs, lambda: open_executor("slurm:tasks=3,time=2"), Store(tmp_path / "store"))
    assert found == [0, 1, 4, 9, 16, 25, 0, 1, 2, 3]
    with pytest.raises(HarnessError, match=r"SLURM refused the jobs: .*partition"):
        run_jobs(jobs_of(1), lambda: open_executor("slurm:partition=absent"))


@pytest.mark.slow
def test_dask_gives_the_same_retries_a_killed_worker_and_refuses_other_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        jobs = [Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(4)]
        start, store = executor_maker(address), Store(tmp_path / "store")
        assert run_jobs([*jobs_of(3), *jobs], start, store) == [0, 1, 4, 0, 1, 2, 3]
        assert store.present(jobs) == {job.key for job in jobs}
        asked = {"code": "other", "versions": {"numpy": "0.1"}}
        monkeypatch.setattr("harness.jobs.job.made_by", lambda module: asked)
        with pytest.raises(HarnessError, match=r"worker \S+ has .*numpy \S+ \(asked for: 0.1\).*other code in"):
            run_jobs(jobs_of(1), start)


@pytest.mark.slow
def test_a_lost_dask_scheduler_is_one_line_that_counts_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--host", f"tcp://{address}"]
    scheduler = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    monkeypatch.setattr("harness.jobs.dask.ANSWER_SECONDS", 30)
    jobs, store = jobs_of(3), Store(tmp_path)
    run_jobs(jobs[:2], SerialExecutor, store)
    try:
        with pytest.raises(HarnessError) as told:  # once jobs are sent, there is no worker, and then no scheduler
            run_jobs(jobs, lambda: _ends(scheduler, open_executor(f"dask://{address}")), store)
    finally:
        scheduler.kill()
        scheduler.wait()
    said = f"the dask scheduler at {address} is lost; 2 of 3 jobs are kept in {tmp_path}, from where"
    assert str(told.value).startswith(said)
    assert "Traceback" not in capfd.readouterr().err


def _ends(scheduler: subprocess.Popen[bytes], executor: Executor) -> Executor:
    threading.Timer(1, scheduler.kill).start()
    return executor


class Deaf(SerialExecutor):
    """Does the work and is lost before it tells."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        super().submit(function, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(LostError("the deaf is lost"))
        return future


def test_what_a_worker_did_is_kept_though_nobody_heard_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(HarnessError, match="lost; 1 of 3 jobs are kept"):
        run_jobs(jobs_of(3), Deaf, store)
    with pytest.raises(HarnessError, match=r"is lost$"):
        run_jobs(jobs_of(1), Deaf)
    assert run_jobs(jobs_of(1), lambda: pytest.fail("computed again"), store) == [0]


@pytest.mark.slow
def test_dask_without_a_scheduler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("harness.jobs.dask.ANSWER_SECONDS", 1)
    with pytest.raises(HarnessError, match="no dask scheduler"):
        open_executor("dask://127.0.0.1:9")
