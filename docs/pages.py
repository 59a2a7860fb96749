"""What the site has besides the files here: reference pages made from the code, links out of `docs` said as paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from harness.cli.app import whole_application

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the two references."""
    for name, text in (("reference/cli.md", command_line()), ("reference/python.md", python())):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A link to a file outside of `docs` leads nowhere on the site: its path stands in its place."""
    return OUTSIDE.sub(lambda link: f"{link[1].strip('`')} (`{link[2]}`)", markdown)


def command_line() -> str:
    """Every command's help."""
    group = whole_application()
    context = typer.Context(group, info_name="harness")
    return get_docs_for_click(obj=group, ctx=context, name="harness", title="Command line")


def python() -> str:
    """Every name that `harness` offers, by where its stub says it comes from."""
    stub = ast.parse((ROOT / "harness" / "__init__.pyi").read_text(encoding="utf-8"))
    found = [(node.module, name.name) for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names]
    entries = [f"::: harness.{module}.{name}" for module, name in found if not name.startswith("_")]
    return "\n\n".join(["# Python", "What `import harness` offers.", *entries]) + "\n"
