"""The page: self-contained, and alive in a real browser."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import markupsafe
import pandas as pd
import pytest
from PIL import Image

from harness.errors import InputError
from harness.gate.evidence import keep_tables, read_tables
from harness.gate.judge import judge
from harness.gate.report import bar_of, overrides_of, power_charts, write_report
from harness.gate.verdict import Check, Outcome, Verdict, write_verdict
from harness.pages.charts import line_chart
from harness.tables import Table
from tests.helpers.commands import run
from tests.helpers.gate import NEW, OLD, POLICY, changed, pair_of, winning_tables

pytestmark = pytest.mark.slow

ABOUT = {"command": "harness gate", "models": {OLD.id: OLD.sha256, NEW.id: NEW.sha256}}


def given() -> list[Table]:
    """Winning tables whose pair has a name that would be a script, and what the page shows beside."""
    pair = pair_of(new=dataclasses.replace(NEW, id="<script>alert(1)</script>"))
    worst = [{"image": name, "gain": gain} for name, gain in (("b", -0.25), ("a", 10.0), ("c", 9.5))]
    curve = [
        {"model": arm, "recall": recall, "precision": 1 - recall / 2} for arm in ("x", "y") for recall in (0.1, 0.9)
    ]
    return [
        *winning_tables(pair),
        Table("eval.worst", "worst", "The worst of ECSSD", pd.DataFrame(worst), **ABOUT),
        Table("eval.pr", "pr", "Precision and recall", pd.DataFrame(curve), **ABOUT),
        Table("eval.pictures", "shown", "P", pd.DataFrame([{"file": "a.png", "caption": "image a"}]), **ABOUT),
    ]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A folder of evidence: tables, a curve, a picture."""
    folder = tmp_path / "evidence"
    keep_tables(given(), folder)
    Image.new("RGB", (8, 6), "teal").save(folder / "a.png")
    return folder


@pytest.fixture
def verdict(evidence: Path) -> Verdict:
    """What the tables of the evidence say."""
    return judge(POLICY, read_tables(evidence))


def test_the_page_holds_everything_and_fetches_nothing(verdict: Verdict, evidence: Path, tmp_path: Path):
    page = write_report(verdict, tmp_path / "report.html", evidence).read_text()
    assert all(str(markupsafe.escape(check.name)) in page for check in verdict.checks)
    assert verdict.digest in page and verdict.candidate.sha256 in page
    addresses = re.findall(r"""(?:src|href)=["']?([^"'>\s]+)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "<script>alert" not in page
    shown = verdict._repr_html_()
    assert all(str(markupsafe.escape(check.name)) in shown for check in verdict.checks) and "<script" not in shown


@pytest.mark.parametrize(
    ("out", "role"),
    [
        ("verdict.json", "the verdict"),
        ("evidence/pair.csv", "the evidence pair.csv"),
        ("evidence/a.png", "the evidence a.png"),
    ],
)
def test_a_page_is_never_written_over_what_it_shows(
    out: str, role: str, verdict: Verdict, evidence: Path, tmp_path: Path
):
    write_verdict(verdict, tmp_path / "verdict.json")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run("report", tmp_path / "verdict.json", "--out", evidence / ".." / out)
    assert isinstance(done.exception, InputError) and f"is {role} (allowed: any other path)" in str(done.exception)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_report_without_evidence_still_shows_the_checks(verdict: Verdict, tmp_path: Path):
    assert "<svg" in write_report(verdict, tmp_path / "report.html").read_text()


def test_evidence_of_another_verdict_is_refused(verdict: Verdict, evidence: Path, tmp_path: Path):
    keep_tables(changed(given(), "cost.memory", lambda rows: rows.assign(peak_bytes=7)), evidence)
    with pytest.raises(InputError, match=r"cost\.memory is not what this verdict was made from"):
        write_report(verdict, tmp_path / "report.html", evidence)
    assert not (tmp_path / "report.html").exists()


def test_the_page_shows_what_any_group_brings_and_no_table_about_the_run(
    verdict: Verdict, evidence: Path, tmp_path: Path
):
    keep_tables([Table("score.flicker", "flicker", "Flicker of maps", pd.DataFrame({"x": [0.5]}), **ABOUT)], evidence)
    page = write_report(verdict, tmp_path / "report.html", evidence).read_text()
    assert "Flicker of maps" in page and "The worst of ECSSD" in page and "gate.pair" not in page


def test_a_bar_keeps_the_order_of_bounds_and_threshold():
    check = Check("g", "n", "k", "at_most", False, "", 3.0, 2.9, 3.1, 2.0, -1.1, None, Outcome.FAIL, "")
    bar = bar_of(check)
    assert bar is not None and bar.low_side
    assert 0 < bar.threshold < bar.low < bar.value < bar.high < 100
    assert bar_of(dataclasses.replace(check, value=None)) is None


def test_a_chart_of_one_point_or_a_flat_line_has_ticks_to_stand_on():
    for line in ([(1.0, 2.0)], [(0.0, 0.0), (1.0, 0.0)]):
        chart = line_chart("t", "x", "y", [("a", 0, line)])
        assert len(chart.x_ticks) > 1 and len(chart.y_ticks) > 1


def test_the_page_shows_what_a_policy_changed(evidence: Path, tmp_path: Path):
    kept = judge(POLICY, read_tables(evidence))
    strict = json.loads(json.dumps(kept.policy))
    strict["content"]["cost"]["time_ratio"] = 1.25
    del strict["content"]["feature"]["parity_within"]
    changed_policy = dataclasses.replace(kept, policy=strict)
    shown = set(overrides_of(changed_policy)) - set(overrides_of(kept))
    assert shown == {"cost.time_ratio = 1.25 (shipped: 2.0)", "without feature.parity_within (shipped: 1e-06)"}
    page = write_report(changed_policy, tmp_path / "report.html").read_text()
    assert "cost.time_ratio = 1.25 (shipped: 2.0)" in page and "other than the shipped policy" in page


def test_a_script_that_is_not_the_pages_own_does_not_run(verdict: Verdict, evidence: Path, tmp_path: Path):
    page = write_report(verdict, tmp_path / "report.html", evidence).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = POLICY_OF_CONTENT.search(page)
    assert policy and f"script-src 'sha256-{digest}'" in policy[0] and "default-src 'none'" in policy[0]
    assert not re.search(r"<[^>]+\son[a-z]+=|style=", page)  # both would need a wider policy


POLICY_OF_CONTENT = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
PROBE = """
<script>
addEventListener("load", () => {
  const table = [...document.querySelectorAll("table.sortable")].at(-1);
  const first = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join("");
  const button = table.querySelectorAll("th button")[1];
  const seen = [first()];
  button.click(); seen.push(first());
  button.click(); seen.push(first());
  const wide = document.documentElement.scrollWidth > innerWidth;
  const pictures = [...document.images].map((image) => image.naturalWidth);
  const copy = document.querySelector("button.copy");
  copy.click();
  const chosen = getSelection().toString() === copy.previousElementSibling.textContent;
  document.body.dataset.probe = JSON.stringify({seen, wide, pictures, chosen});
});
</script>
"""


@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser_tables_sort_pictures_load_and_nothing_complains(
    verdict: Verdict, evidence: Path, tmp_path: Path, width: int
):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    page = write_report(verdict, tmp_path / "report.html", evidence)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--window-size={width},900"]
    command += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", "--dump-dom", page.as_uri()]
    assert "CONSOLE" not in subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    # The page's policy lets no other script run, so the probe needs the policy out of its way.
    page.write_text(POLICY_OF_CONTENT.sub("", page.read_text()).replace("</body>", PROBE + "</body>"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    match = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert match
    probe = json.loads(match[1].replace("&quot;", '"'))
    assert probe["seen"] == ["bac", "bca", "acb"]
    assert probe["pictures"] == [8] and probe["chosen"]
    assert not probe["wide"], "the page scrolls sideways"


def test_the_page_draws_how_many_clips_show_which_effect(verdict: Verdict, evidence: Path, tmp_path: Path) -> None:
    (chart,) = power_charts(verdict)
    names = [name for name, _, _ in chart.lines]
    assert names[0] == "gain at vmaf=0" and len(names) == 6
    heights = [float(point.split(",")[1]) for point in chart.lines[0][2].split()]
    assert heights == sorted(heights) and heights[0] < heights[-1]  # more clips show less: further down in the picture
    page = write_report(verdict, tmp_path / "report.html", evidence).read_text()
    assert "What so many clips show at 80% power" in page
    content = {name: value for name, value in verdict.policy["content"].items() if name != "power"}
    assert power_charts(dataclasses.replace(verdict, policy={**verdict.policy, "content": content})) == []
