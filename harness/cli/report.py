"""`harness report`: a verdict as one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report")(report)


def report(
    verdict: Annotated[Path, typer.Argument(help="The gate's verdict.json; its evidence folder lies beside it.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The page [default: report.html beside the verdict].")
    ] = None,
) -> None:
    """Write a verdict, its curves, rows and pictures as one self-contained HTML page.

    Example: `harness report runs/gate/verdict.json`
    """
    from harness.files import check_apart
    from harness.gate.report import write_report
    from harness.gate.verdict import read_verdict

    target, evidence = out or verdict.parent / "report.html", verdict.parent / "evidence"
    found = read_verdict(verdict)
    files = {f"evidence {path.name}": path for path in sorted(evidence.rglob("*")) if path.is_file()}
    check_apart({"verdict": verdict, **files}, {"--out": target})
    typer.echo(f"wrote {write_report(found, target, evidence)}")
