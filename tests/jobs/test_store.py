"""Where records lie: folders and what fsspec opens, the first writer wins, older records are read."""

from __future__ import annotations

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.jobs import Job, Store, open_executor, run_jobs
from harness.jobs.executors import SerialExecutor
from harness.jobs.places import place_of
from tests.helpers.jobs import jobs_of, square


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty place for a store."""
    return tmp_path if request.param == "folder" else f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


def test_the_first_writer_wins_and_a_damaged_record_does_not_stand(
    where: Path | str, caplog: pytest.LogCaptureFixture
) -> None:
    job, first, second = jobs_of(1)[0], Store(where), Store(where)
    assert job not in first and first.load(job) is None
    assert first.save(job, 1) == 1 and second.save(job, 1) == 1 and "twice" not in caplog.text
    assert second.save(job, 2) == 1 and "computed twice with two results: the first stands" in caplog.text
    assert job in second and first.load(job).result == 1  # type: ignore[union-attr]
    place_of(where).replace(f"{job.key[:2]}/{job.key}.json", b"cut")
    assert first.load(job) is None and second.save(job, 2) == 2 and first.load(job).result == 2  # type: ignore[union-attr]


def test_of_many_writers_at_once_one_is_the_first(where: Path | str) -> None:
    place = place_of(where)
    with ThreadPoolExecutor(8) as pool:
        for turn in range(5):
            wrote = list(pool.map(place.create, [f"aa/{turn}.json"] * 8, [b"%d" % writer for writer in range(8)]))
            assert wrote.count(True) == 1
            assert list(place.read([f"aa/{turn}.json"])) == [(f"aa/{turn}.json", b"%d" % wrote.index(True))]
    assert place.names(["aa", "bb"]) == {f"aa/{turn}.json" for turn in range(5)}
    assert dict(place.read(["bb/0.json", "aa/0.json"]))["bb/0.json"] is None


@pytest.mark.slow
def test_workers_keep_their_results_and_a_rerun_finds_them(where: Path | str) -> None:
    jobs, store = jobs_of(70), Store(where)
    assert run_jobs(jobs, lambda: open_executor("local:2"), store) == [number * number for number in range(70)]
    assert run_jobs(jobs, lambda: pytest.fail("computed again"), store) == [number * number for number in range(70)]


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_refused_before_any_work(bucket: str, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    with pytest.raises(HarnessError, match=r"cannot write store s3://absent-one/x: .*bucket does not exist"):
        run_jobs(jobs_of(1, calls=str(calls)), SerialExecutor, Store("s3://absent-one/x"))
    assert not list(calls.iterdir())


@pytest.mark.parametrize("url", ["s3://", "nothing://x/y"])
def test_what_names_no_place_is_refused(url: str) -> None:
    pytest.importorskip("s3fs")
    with pytest.raises(InputError, match="allowed"):
        run_jobs(jobs_of(1), SerialExecutor, Store(url))


def test_a_store_of_one_process_serves_this_one_alone() -> None:
    store = Store("memory://kept")
    assert run_jobs(jobs_of(2), SerialExecutor, store) == run_jobs(jobs_of(2), SerialExecutor, store) == [0, 1]
    with pytest.raises(InputError, match=r"store memory://kept is of one process \(allowed"):
        run_jobs(jobs_of(3), lambda: open_executor("local:2"), store)


def test_a_record_as_the_first_versions_wrote_it_is_read(tmp_path: Path) -> None:
    job = Job(square, {"number": 7})
    array = {"ndarray": ["<i8", [2], "AQAAAAAAAAACAAAAAAAAAA=="]}
    record = json.dumps({"key": job.key, "function": job.name, "result": {"values": array}}, separators=(",", ":"))
    path = tmp_path / job.key[:2] / f"{job.key}.json"
    path.parent.mkdir()
    path.write_text(f'{{"sha256":"{hashlib.sha256(record.encode()).hexdigest()}","record":{record}}}\n')
    (found,) = run_jobs([job], lambda: pytest.fail("computed again"), Store(tmp_path))
    assert found["values"].tolist() == [1, 2]


def test_a_worker_that_starts_elsewhere_has_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Store(Path("store")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(sent) == Store(tmp_path / "store")
