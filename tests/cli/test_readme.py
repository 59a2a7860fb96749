"""The README tells the truth: its table is the results' own, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re

from harness.cli.app import COMMANDS
from harness.tables import read_table
from tests.helpers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_rows(heading: str) -> list[list[str]]:
    lines = README[README.index(f"| {heading}") :].split("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_table_is_what_the_results_say() -> None:
    found = read_table(ROOT / "results/accuracy/ecssd/summary.csv").rows.to_dict("records")
    measured = {row["model"]: row for row in found if row["working_size"] in ("256", "-")}
    (_, *measures), _, *rows = table_rows("ECSSD, 1,000 images")
    assert len(rows) == len(measured)
    for model, *shown in rows:
        assert shown == [measured[model][measure] for measure in measures]


def test_every_command_is_listed() -> None:
    listed = {re.match(r"harness ([a-z-]+)", row[0])[1] for row in table_rows("command")[2:]}  # type: ignore[index]
    assert listed == set(COMMANDS)


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links and not [link for link in links if not (ROOT / link).exists()]
