"""`harness demo`: everything once, on data that it generates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.gate import print_verdict
from harness.cli.output import terminal


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for corpora, verdict and report.")] = Path("demo"),
) -> None:
    """Gate v3 against v1 on generated corpora and write the HTML report; downloads nothing.

    Exits 0 whatever the verdict: it shows the gate, it does not apply it.

    Example: `harness demo`
    """
    from harness.gate.demo import run_demo

    console = terminal(to_stderr=True)
    done = run_demo(out, lambda text: console.print(text, style="dim"))
    print_verdict(done.verdict)
    typer.echo(f"report: {done.report.resolve()}")
