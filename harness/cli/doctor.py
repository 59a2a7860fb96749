"""`harness doctor`: what this machine offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from harness.cli.options import AsJson, Root
from harness.cli.output import print_json, terminal

if TYPE_CHECKING:
    from harness.studies.doctor import Diagnosis


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Say which FFmpeg, libvmaf, encoders, runtime, models and corpora are here, and which encoders obey a map.

    Example: `harness doctor --root corpora`
    """
    from harness.studies.doctor import as_dict, diagnose

    found = diagnose(root)
    if as_json:
        print_json(as_dict(found))
    else:
        _show(found)


def _show(found: Diagnosis) -> None:
    facts = Table(show_header=False, box=None)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    rows = {
        "FFmpeg": f"{found.ffmpeg_version}, {found.ffmpeg} ({found.ffmpeg_found})",
        "libvmaf": f"{found.libvmaf}: {', '.join(found.vmaf_models)}" if found.libvmaf else "not in this FFmpeg",
        "mobilesal": f"{found.mobilesal} ({found.mobilesal_reason})",
        "ONNX Runtime": f"{found.onnxruntime}: {', '.join(found.providers)}",
        "models": ", ".join(found.models),
        "production": found.production or "none",
    }
    for name, text in rows.items():
        facts.add_row(name, text)
    encoders = Table("encoder", "here", "obeys a map", "repeats", "why, or under which conditions")
    said = {True: "yes", False: "no", None: "–"}
    for encoder in found.encoders:
        obeys, repeats = said[encoder.obeys], said[encoder.repeats]
        encoders.add_row(encoder.name, said[encoder.present], obeys, repeats, encoder.reason)
    corpora = Table("corpus", "found at")
    for name, place in found.corpora.items():
        corpora.add_row(name, place or "–")
    console = terminal()
    for table in (facts, encoders, corpora):
        console.print(table)
