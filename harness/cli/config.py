"""`harness config`: what the project file sets, and for which commands."""

from __future__ import annotations

import typer

from harness.cli.options import AsJson
from harness.cli.output import print_json


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("config")(run)


def run(as_json: AsJson = False) -> None:
    """Show which `harness.toml` holds here, and what it sets for which commands; flags and variables win over it.

    A file is checked whole: an unknown option or command in it is refused.

    Example: `harness config`
    """
    from harness.cli.app import COMMANDS, whole_application
    from harness.cli.project import NAME, find_project_file, settings

    project = find_project_file()
    found = settings(project, whole_application(), COMMANDS) if project else []
    if as_json:
        rows = [
            {"command": one.command, "option": one.option, "value": one.value, "overruled_by": one.overruled}
            for one in found
        ]
        print_json({"file": str(project.path) if project else None, "settings": rows})
        return
    if not project:
        typer.echo(f"no {NAME} in this folder or above it: flags, variables and what --help says hold")
        return
    typer.echo(project.path)
    for one in found:
        note = f"  (${one.overruled} wins)" if one.overruled else ""
        typer.echo(f"{one.command} --{one.option} {_shown(one.value)}{note}")


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
