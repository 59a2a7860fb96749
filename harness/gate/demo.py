"""The main job on embedded defaults: generated corpora, committed weights, the FFmpeg at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.gate.policy import load_policy
from harness.gate.report import write_report
from harness.gate.run import run_gate
from harness.gate.verdict import Verdict

INCUMBENT, CANDIDATE = "saliency_student_v1", "saliency_student_v3"
RULES = Path(__file__).with_name("demo.toml")


@dataclass(frozen=True)
class Demo:
    """What the demonstration leaves behind."""

    verdict: Verdict
    report: Path


def run_demo(
    out: Path, announce: Callable[[str], None], progress: Callable[[str, int, int], None] | None = None
) -> Demo:
    """Gate v3 against v1 on generated corpora and write the report; a second run reuses finished jobs.

    By rules of its own: the shipped ones with what `demo.toml` changes, so that this little data can decide.
    """
    rules = load_policy(RULES)
    verdict = run_gate(INCUMBENT, CANDIDATE, out, profile="demo", policy=rules, announce=announce, progress=progress)
    return Demo(verdict, write_report(verdict, out / "report.html", out / "evidence"))
