"""How far a command is: a line now and then in a log, bars on a terminal, events for scripts, nothing when asked."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import Future

import pytest
from rich.console import Console

from harness.cli import events, progress
from harness.cli.events import Shape
from harness.cli.progress import Stage, _Bars, remark, stages
from harness.jobs import watch
from harness.jobs.executors import SerialExecutor
from harness.jobs.job import Job
from tests.helpers.commands import run

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time between two lines passes fast."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.02)
    monkeypatch.setattr(progress, "EVENT_SECONDS", 0.02)


def work(seconds: float = 0.1) -> None:
    """A stage of which half is done, for so long, while a job runs."""
    job: Future[object] = Future()
    job.set_running_or_notify_cancel()
    waiting: Future[object] = Future()
    with stages({"measuring": "images"}) as report:
        report("measuring", 0, 4)
        watch.follow({job: [Job(len, {"clip": "dog"})], waiting: [Job(len, {"clip": "cat"})]}, None)
        time.sleep(3 * seconds)
        report("measuring", 2, 4, {"iou": 0.5})
        time.sleep(seconds)
        watch.follow({}, None)
        report("measuring", 4, 4)
        remark("by the way")


def test_a_log_gets_lines_with_rate_time_left_and_what_runs(hurried: None, capsys: Capsys) -> None:
    with events._asking(Shape.LINES):
        work()
    *lines, whole, said = capsys.readouterr().err.splitlines()
    first = next(line for line in lines if line.startswith("measuring: 2 of 4 images, "))
    assert "images/s" in first
    assert " s left, iou 0.5, running: len dog" in first and "cat" not in first
    assert whole.startswith("measuring: 4 of 4 images, ") and whole.endswith("in all") and said == "by the way"


def test_short_work_says_nothing_in_a_log(capsys: Capsys) -> None:
    with events._asking(Shape.AUTO):
        work(0)
    assert capsys.readouterr().err == "by the way\n"


def test_quiet_says_nothing(hurried: None, capsys: Capsys) -> None:
    with events._asking(Shape.NONE):
        work()
    assert capsys.readouterr().err == ""


def test_events_begin_go_on_and_end(hurried: None, capsys: Capsys) -> None:
    with events._asking(Shape.JSON):
        work()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert told[0]["event"] == "begin" and told[0]["total"] == 4
    middle = next(one for one in told if one["event"] == "progress" and one["done"] == 2)
    assert middle["running"] == ["len dog"] and middle["values"] == {"iou": 0.5}
    assert middle["per_second"] > 0 and "seconds_left" in middle
    assert [one["event"] for one in told[-3:]] == ["progress", "end", "note"] and told[-1]["text"] == "by the way"
    assert told[-2]["done"] == 4 and [one["at"] for one in told] == sorted(one["at"] for one in told)


def test_work_that_fails_ends_its_stages(hurried: None, capsys: Capsys) -> None:
    with pytest.raises(RuntimeError), events._asking(Shape.JSON), stages() as report:
        report("a", 1, 2)
        raise RuntimeError
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["event"] == "end"


@pytest.mark.parametrize("width", [40, 100])
def test_bars_fit_the_terminal_and_show_the_end_of_long_names(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    board = _Bars()
    board.console = Console(width=width, height=8, file=io.StringIO(), force_terminal=True, color_system=None)
    for name in ("encoding and measuring", "another stage"):
        board.hear(name, "arms", 0, 9_000, {})
        board.stages[name].heard[0] = (time.monotonic() - 60, 0)
        board.hear(name, "arms", 4_000, 9_000, {"loss": 1.0})
    names = [f"measure arm {'x' * 90} arm-{number}" for number in range(9)]
    monkeypatch.setattr(watch, "running_jobs", lambda: names)
    board.console.print(board._drawn())
    drawn = board.console.file.getvalue()  # type: ignore[attr-defined]
    lines = drawn.splitlines()
    assert max(map(len, lines)) <= width and "4,000 of 9,000 arms" in drawn and " left" in drawn
    assert any("arm-0" in line for line in lines) and "and 6 more" in drawn


def test_a_rate_forgets_what_a_rerun_found_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stage = Stage("a", "images")
    stage.hear(0, 2_000, {})
    for second in range(1, 100):
        now[0] = float(second)
        stage.hear(1_000 + second, 2_000, {})
    assert stage.per_second == pytest.approx(1) and stage.seconds_left == pytest.approx(901)
    now[0] += 902
    assert stage.seconds_left is None and not stage.left  # it takes longer than it looked


def test_a_job_of_this_process_is_told_while_it_runs() -> None:
    from harness.jobs.run import run_jobs

    assert run_jobs([Job(watch.running_jobs)], SerialExecutor) == [["running jobs"]]
    assert watch.running_jobs() == []


def test_what_is_asked_for_wrongly_is_refused() -> None:
    words = ("corpora", "synth", "nowhere", "--progress")
    assert "(allowed: auto, bars, lines, json)" in str(run(*words, "loud").exception)
    assert "allowed: one of them" in str(run(*words, "json", "-q").exception)
