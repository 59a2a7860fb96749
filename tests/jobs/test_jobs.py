"""Jobs: content keys, a store that resumes, every executor with the same results, killed workers retried."""

from __future__ import annotations

import os
import tracemalloc
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import HarnessError, InputError
from harness.jobs import Job, Store, open_executor, run_jobs, stream_jobs
from harness.jobs.executors import SerialExecutor
from harness.jobs.provenance import code_digest
from tests.helpers.jobs import die, die_once, halves, hurry, jobs_of, policy_now, refuse, square


def test_keys_follow_content_not_order() -> None:
    first = Job(square, {"number": 1, "calls": None}, {"clip": "aa"})
    assert first.key == Job(square, {"calls": None, "number": 1}, {"clip": "aa"}).key
    others = [Job(square, {"number": 2, "calls": None}, {"clip": "aa"}), Job(square, {"number": 1}, {"clip": "aa"})]
    others += [Job(square, {"number": 1, "calls": None}, {"clip": "ab"}), Job(refuse, first.arguments, first.inputs)]
    assert len({first.key, *(job.key for job in others)}) == 5


@pytest.mark.slow
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
    with pytest.raises(
        InputError, match=r"number 9 .*; 2 of 3 jobs are kept in .*, from where the same command goes on"
    ):
        run_jobs([*jobs_of(2), Job(refuse, {"number": 9})], SerialExecutor, store)
    assert all(job in store for job in jobs_of(2))


def test_a_killed_run_keeps_what_was_done_in_this_process_too(tmp_path: Path) -> None:
    def killed(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs_of(4), SerialExecutor, store, killed)
    assert [job in store for job in jobs_of(4)] == [True, True, False, False]


def arrays(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, 3))
    values[0, 0], values[1, 1], values[1, 2] = np.nan, -0.0, np.inf
    return {
        "float64": values,
        "float32": rng.normal(size=(0, 4)).astype(np.float32),
        "int64": np.array(2**62 + seed),
        "deep": [{"bool": np.array([True, False])}, 0.1],
    }


def test_arrays_are_kept_to_the_bit(tmp_path: Path) -> None:
    job = Job(arrays, {"seed": 3})
    (fresh,) = run_jobs([job], SerialExecutor, Store(tmp_path))
    stored = Store(tmp_path).load(job)
    assert stored
    for name in ("float64", "float32", "int64"):
        assert stored.result[name].dtype == fresh[name].dtype and stored.result[name].shape == fresh[name].shape
        assert stored.result[name].tobytes() == fresh[name].tobytes()
    assert stored.result["deep"][0]["bool"].tolist() == [True, False] and stored.result["deep"][1] == 0.1


def test_a_result_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"set is no result of a job \(allowed: JSON, and NumPy arrays in it\)"):
        Store(tmp_path).save(jobs_of(1)[0], {1})


@pytest.mark.slow
def test_no_altered_record_is_taken_for_a_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = Job(arrays, {"seed": 3})
    run_jobs([job], SerialExecutor, Store(tmp_path))
    (path,) = tmp_path.rglob("*.json")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert Store(tmp_path).load(job) is None
    for other in (b"", b"{}", whole[:-1], whole + b" ", b'{"key": "other", "result": 5}'):
        path.write_bytes(other)
        assert Store(tmp_path).load(job) is None
    assert f"{path} is damaged or was altered" in caplog.text
    (again,) = run_jobs([job], SerialExecutor, Store(tmp_path))
    assert path.read_bytes() == whole and again["int64"] == 2**62 + 3


def test_a_record_of_another_job_is_not_taken(tmp_path: Path) -> None:
    store, (first, second) = Store(tmp_path), jobs_of(2)
    store.save(first, 0)
    (written,) = tmp_path.rglob("*.json")
    other = tmp_path / second.key[:2] / f"{second.key}.json"
    other.parent.mkdir(exist_ok=True)
    written.rename(other)
    assert run_jobs([second], SerialExecutor, store) == [1]


def together(asked: list[dict[str, Any]]) -> list[int]:
    (Path(asked[0]["calls"]) / "-".join(str(each["number"]) for each in asked)).touch()
    return [each["number"] ** 2 for each in asked]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local:1", "local:2"])
def test_jobs_of_a_batch_run_in_one_call_and_are_kept_each_for_itself(tmp_path: Path, executor: str) -> None:
    def jobs(*numbers: int) -> list[Job]:
        calls = {"calls": str(tmp_path)}
        return [Job(together, {"number": n}, aside=calls, batch=str(n % 2)) for n in numbers]

    def start() -> Executor:
        return open_executor(executor)

    store = Store(tmp_path / "store")
    assert run_jobs(jobs(1, 3), start, store) == [1, 9]
    assert run_jobs(jobs(0, 1, 2, 3, 5), start, store) == [0, 1, 4, 9, 25]
    assert {path.name for path in tmp_path.iterdir()} == {"store", "1-3", "0-2", "5"}


def test_what_is_aside_is_handed_on_and_decides_nothing() -> None:
    jobs = [Job(square, {"number": 3}, aside={"calls": calls}) for calls in (None, "")]
    assert jobs[0].key == jobs[1].key == Job(square, {"number": 3}).key
    assert jobs[0].call == {"number": 3, "calls": None}


def megabytes(number: int) -> np.ndarray:
    return np.full(1 << 20, number, np.uint8)


@pytest.mark.slow
def test_results_that_are_streamed_are_not_held(tmp_path: Path) -> None:
    jobs = [Job(megabytes, {"number": number}) for number in range(40)]
    for _ in ("fresh", "stored"):
        tracemalloc.start()
        for place, result in stream_jobs(jobs, SerialExecutor, Store(tmp_path)):
            assert result[0] == place
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 << 20


@pytest.mark.slow
def test_processes_give_the_same_and_a_killed_worker_is_retried(tmp_path: Path) -> None:
    opened: list[Executor] = []

    def executor() -> Executor:
        opened.append(open_executor("local:2"))
        return opened[-1]

    assert run_jobs(jobs_of(4), executor) == [0, 1, 4, 9]
    jobs = [Job(die_once, {"number": number, "folder": str(tmp_path)}) for number in range(4)]
    assert run_jobs(jobs, executor) == [0, 1, 2, 3]


@pytest.mark.slow
def test_who_always_kills_its_worker_is_named_and_no_other_job_is(tmp_path: Path) -> None:
    jobs, heard = [Job(die, {"number": 7}), *jobs_of(6)], dict[int, HarnessError]()
    assert run_jobs(jobs, lambda: open_executor("local:2"), None, None, heard.__setitem__)[1:] == [0, 1, 4, 9, 16, 25]
    assert list(heard) == [0] and "helpers.jobs:die {'number': 7} lost its worker 3 times" in str(heard[0])
    with pytest.raises(HarnessError, match=r"\{'number': 7\} lost its worker 3 times.*; \d of 7 jobs are kept in"):
        run_jobs([*jobs[1:], jobs[0]], lambda: open_executor("local:2"), Store(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local:1", "local:2"])
def test_a_run_that_goes_on_finishes_all_others_and_hears_of_each_failure(tmp_path: Path, executor: str) -> None:
    """Also of those that share a call with others."""
    bad, heard = [Job(refuse, {"number": 9}), Job(halves, {"number": 3}, batch="a")], dict[int, HarnessError]()
    jobs = [bad[0], *jobs_of(2), Job(halves, {"number": 4}, batch="a"), bad[1], bad[0]]
    found = run_jobs(jobs, lambda: open_executor(executor), Store(tmp_path), None, heard.__setitem__)
    assert found == [None, 0, 1, 2, None, None]
    assert {place: str(error) for place, error in heard.items()} == {
        0: "number 9 (allowed: none)", 4: "3 is odd (allowed: even)", 5: "number 9 (allowed: none)",
    }  # fmt: skip
    assert all(isinstance(error, InputError) for error in heard.values())
    with pytest.raises(TypeError):  # a fault of the program is none to go on after
        run_jobs([Job(square, {"strange": 1})], lambda: open_executor(executor), None, None, heard.__setitem__)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be real-time")
@pytest.mark.parametrize("executor", ["serial", "local:2"])
def test_a_job_that_makes_its_process_real_time_leaves_none_behind(executor: str) -> None:
    """As an encoder does: what comes after it in the same process would starve the machine."""
    jobs = [*(Job(hurry, {"number": number}) for number in range(2)), *jobs_of(2)]
    found = run_jobs(jobs, SerialExecutor if executor == "serial" else partial(open_executor, executor), None)
    assert found == [os.SCHED_FIFO, os.SCHED_FIFO, 0, 1] and os.sched_getscheduler(0) == os.SCHED_OTHER
    if executor != "serial":
        after = run_jobs([Job(hurry, {"number": 3}), Job(policy_now)], partial(open_executor, "local:1"), None)
        assert after == [os.SCHED_FIFO, os.SCHED_OTHER]
