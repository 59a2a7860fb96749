"""`harness gate`: may these weights go to production?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.gate import run_gate
from harness.gate.policy import load_policy
from harness.gate.verdict import Decision, Outcome, Verdict, interval, rule_text, shown, summary
from harness.models.registry import PRODUCTION

COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("gate")(gate)


def gate(
    candidate: Annotated[str, typer.Option(help="The new weights: a registry id or a path.")],
    incumbent: Annotated[
        str, typer.Option(help="What it must beat: a registry id, a path, or what is in production.")
    ] = PRODUCTION,
    profile: Annotated[str, typer.Option(help="What to measure on, as the policy names it.")] = "full",
    policy: Annotated[Path | None, typer.Option(help="TOML with what to change in the shipped policy.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that holds the corpora.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for verdict, evidence and report.")] = Path("runs/gate"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes [default: all cores].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict's JSON instead of the table.")] = False,
) -> None:
    """Measure a candidate against the incumbent and decide by the policy: PROMOTE, HOLD or INCONCLUSIVE.

    Exits 0, 1 or 3. A second run takes up what the first one finished. Nothing is promoted here.

    Example: `harness gate --candidate saliency_student_v2 --profile demo`
    """
    console = Console(stderr=True)
    rules = load_policy(policy)
    verdict = run_gate(
        incumbent,
        candidate,
        out,
        profile=profile,
        policy=rules,
        root=root,
        workers=workers,
        announce=lambda text: console.print(text, style="dim", highlight=False),
    )
    if as_json:
        typer.echo(verdict.text(), nl=False)
    else:
        print_verdict(verdict)
        typer.echo(f"wrote {out / 'verdict.json'} and {out / 'verdict.md'}")
    raise typer.Exit(verdict.decision.exit_code)


def print_verdict(verdict: Verdict) -> None:
    """The table of checks and the decision, on the terminal."""
    console = Console(highlight=False)
    table = Table(title=f"{verdict.candidate.id} against {verdict.incumbent.id} (profile {verdict.profile})")
    table.add_column("check")
    table.add_column("value and interval", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    group = verdict.checks[0].group
    for check in verdict.checks:
        if check.group != group:
            table.add_section()
            group = check.group
        name = f"{check.name} *" if check.primary else check.name
        value = " ".join(text for text in (shown(check.value, check.unit), interval(check)) if text != "–") or "–"
        outcome = f"[{COLOURS[check.outcome]}]{check.outcome}[/]"
        table.add_row(escape(name), escape(value), rule_text(check), outcome)
    console.print(table)
    console.print("* primary: Holm's correction over these", style="dim")
    colour = {Decision.PROMOTE: "green", Decision.HOLD: "red", Decision.INCONCLUSIVE: "yellow"}[verdict.decision]
    console.print(f"[bold {colour}]{verdict.decision}[/]  {summary(verdict)}")
    for check in verdict.checks:
        if check.outcome is not Outcome.PASS:
            console.print(
                f"  [{COLOURS[check.outcome]}]{check.outcome}[/] {escape(check.name)}: {escape(check.reason)}"
            )
    for key, reason in verdict.unchecked.items():
        console.print(f"  not checked, as the policy allows: {key}: {reason}", style="dim", markup=False)
    for limit in verdict.limits:
        console.print(f"  {limit}", style="dim")
