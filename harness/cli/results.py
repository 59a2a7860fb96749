"""`harness results`: the published tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import AsJson, ModelFolder, Root
from harness.cli.output import print_json
from harness.errors import HarnessError

commands = typer.Typer(no_args_is_help=True, help="Published tables: which are out of date, and in other formats.")
FOLDER = Path("results")


def register(app: typer.Typer) -> None:
    """Add the sub-commands to the application."""
    app.add_typer(commands, name="results")


@commands.command("stale")
def stale(
    paths: Annotated[list[Path] | None, typer.Argument(help="Tables, or folders of them [default: results].")] = None,
    about: Annotated[
        list[str] | None, typer.Option("--model", help="Registry id that each table must speak of; repeatable.")
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="Also hash the corpora that tables were made from.")] = False,
    root: Root = None,
    models: ModelFolder = None,
    as_json: AsJson = False,
) -> None:
    """List tables whose code, models or data have changed, and those that cannot say what wrote them; exit 1 if any.

    Library versions that have moved are told apart: they alone make no table stale. --root means --data.

    Example: `harness results stale results --root /data`
    """
    from harness.studies.published import moved_libraries, states

    places = paths or [FOLDER]
    found = states(places, about=about or (), data=data or root is not None, root=root, models=models)
    old = [state for state in found if state.stale]
    if as_json:
        print_json({"tables": [state.as_json() for state in found]})
    else:
        for state in old:
            typer.echo(f"{state.path}: {'; '.join(state.stale)}")
        for change in moved_libraries(found):
            typer.echo(f"library: {change}")
        for name in sorted({name for state in found for name in state.unchecked}):
            typer.echo(f"not at hand, so not checked: {name}")
    if old:
        raise HarnessError(f"{len(old)} of {len(found)} tables are out of date (repeat: the command in each)")
    if not as_json:
        typer.echo(f"{len(found)} tables, none out of date")


@commands.command("export")
def export_tables(
    paths: Annotated[list[Path], typer.Argument(help="Tables (.csv or .md), or folders of them.")],
    formats: Annotated[list[str], typer.Option("--format", help="json or tex; repeatable.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for all [default: beside each table].")] = None,
) -> None:
    """Write tables as JSON for scripts or as LaTeX for papers.

    Example: `harness results export results/accuracy/ecssd/summary.csv --format tex`
    """
    from harness.studies.published import export

    for path in export(paths, formats, out):
        typer.echo(f"wrote {path}")
