"""`harness registry`: the models that ship."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Column, Table

from harness.cli.options import AsJson, ModelFolder, Root, TrustedKeys
from harness.cli.output import print_json, say
from harness.cli.terminal import terminal
from harness.errors import HarnessError

NARROW = 60  # columns: below, only the id and the mark of production are shown

commands = typer.Typer(no_args_is_help=True, help="List, verify and promote the models that ship.")


def register(app: typer.Typer) -> None:
    """Add the sub-commands to the application."""
    app.add_typer(commands, name="registry")


@commands.command("list")
def list_models(models: ModelFolder = None, as_json: AsJson = False) -> None:
    """Show every registered model, and which one is in production.

    Example: `harness registry list`
    """
    from harness.gate import promote as promotion
    from harness.models import registry

    found, pointer = registry.entries(models), promotion.in_production(models)
    named = {pointer.id: pointer.sha256} if pointer else {}
    if as_json:
        marked = [{**entry, "production": named.get(entry["id"]) == entry["sha256"]} for entry in found]
        print_json({"models": marked})
        return
    console = terminal()
    wide = console.width >= NARROW
    more = ("opset", "sha256", "notes") if wide else ()
    columns = Column("id", no_wrap=wide, overflow="fold"), Column("production", no_wrap=True)
    table = Table(*columns, *more, box=None, pad_edge=False, header_style="bold")
    for entry in found:
        same = named.get(entry["id"]) == entry["sha256"]
        mark = "yes" if same else "other file" if entry["id"] in named else ""
        facts = str(entry.get("opset", "?")), entry["sha256"][:12], entry.get("notes", "")
        table.add_row(entry["id"], mark, *facts[: len(more)])
    console.print(table)
    if not wide:
        say("opset, sha256, notes: --json")


@commands.command("verify")
def verify_models(models: ModelFolder = None, keys: TrustedKeys = None, as_json: AsJson = False) -> None:
    """Check hashes, graphs, sidecars, the registry's schema, what is in production and every verdict that put it there.

    Exit 1 if any is wrong. A kept signature is checked as of its promotion; with --keys every promotion must have one.

    Example: `harness registry verify`
    """
    from harness.gate.promote import findings as findings_of

    findings = findings_of(models, keys)
    if as_json:
        print_json({"findings": [{"subject": f.subject, "problem": f.problem} for f in findings]})
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.problem is None else 'FAIL'} {finding.subject}")
    wrong = [finding for finding in findings if finding.problem]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise HarnessError(f"{wrong[0].subject}: {wrong[0].problem}{more}")


@commands.command("placeholder")
def placeholder(models: ModelFolder = None) -> None:
    """Generate the placeholder model and register it.

    Example: `harness registry placeholder`
    """
    from harness.models import registry
    from harness.models.placeholder import PLACEHOLDER_ID, write_placeholder

    notes = "Smoke-test graph: 1x1 convolution and sigmoid, no training."
    with TemporaryDirectory() as folder:
        graph = Path(folder) / f"{PLACEHOLDER_ID}.onnx"
        write_placeholder(graph)
        entry = registry.entry_for(PLACEHOLDER_ID, graph, "Untrained placeholder for smoke tests.", notes, smoke=True)
        target = registry.register(entry, registry.sidecar_for(entry, {}), graph, models)
    typer.echo(f"wrote {target}")


@commands.command("begin")
def begin_with(
    model: Annotated[str, typer.Argument(help="Registry id of the model that is in production to begin with.")],
    models: ModelFolder = None,
) -> None:
    """Name the model in production, once and before any promotion; later only a verdict changes it.

    Example: `harness registry begin saliency_student_v1`
    """
    from harness.gate import promote as promotion

    pointer = promotion.begin(model, models)
    typer.echo(f"in production: {pointer.id} (sha256 {pointer.sha256[:12]}…)")


@commands.command("promote")
def promote_model(
    model: Annotated[str, typer.Argument(help="Registry id of the model to put into production.")],
    verdict: Annotated[Path, typer.Option("--verdict", help="The gate's verdict.json that says PROMOTE.")],
    again: Annotated[
        int,
        typer.Option("--recheck", help="First measure so many random rows of each kind again."),
    ] = 0,
    root: Root = None,
    models: ModelFolder = None,
) -> None:
    """Put a model into production on the strength of a verdict, which is judged again from the tables beside it.

    The registry's own policy counts: the shipped one, with what gate.toml in the model folder changes in it. A verdict
    promotes once; it, its tables and its signature are kept in the model folder. Where that policy has
    `[signature] require = true`, the verdict must be signed by a key in trusted_keys there (`harness verdict sign`).

    Example: `harness registry promote saliency_student_v2 --verdict runs/gate/verdict.json`
    """
    from harness.gate import promote as promotion

    pointer = promotion.promote(model, verdict, models, again=again, root=root)
    typer.echo(f"in production: {pointer.id} (sha256 {pointer.sha256[:12]}…)")


@commands.command("rollback")
def rollback_model(models: ModelFolder = None) -> None:
    """Return to the model that was in production before the last promotion.

    Example: `harness registry rollback`
    """
    from harness.gate import promote as promotion

    pointer = promotion.rollback(models)
    typer.echo(f"in production: {pointer.id} (sha256 {pointer.sha256[:12]}…)")
