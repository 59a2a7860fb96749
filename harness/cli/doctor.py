"""`harness doctor`: what this machine offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.cli.options import AsJson, Root
from harness.cli.output import print_json
from harness.cli.terminal import terminal

if TYPE_CHECKING:
    from harness.studies.doctor import Diagnosis


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    root: Root = None,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Also whether each encoder gives the same bytes each time: ten seconds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which FFmpeg, libvmaf, encoders, runtime, models and corpora are here, and which encoders obey a map.

    Each is asked by running it, which takes some seconds; whether encoders repeat takes longer and is asked for.

    Example: `harness doctor --root corpora`
    """
    from harness.studies.doctor import as_dict, diagnose

    found = diagnose(root, repeats)
    if as_json:
        print_json(as_dict(found))
    else:
        _show(found, repeats)


def _show(found: Diagnosis, asked: bool) -> None:
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
    encoders = Table("encoder", "obeys", *["repeats"] * asked, "why, or when", box=None, pad_edge=False)
    encoders.columns[0].no_wrap, encoders.columns[-1].overflow = True, "fold"
    said = {True: "yes", False: "no", None: "–"}
    for encoder in found.encoders:
        obeys = said[encoder.obeys] if encoder.present else "not here"
        encoders.add_row(encoder.name, obeys, *[said[encoder.repeats]] * asked, encoder.reason)
    corpora = Table("corpus", box=None, pad_edge=False)
    corpora.add_column("found at", overflow="fold")
    for name, place in found.corpora.items():
        corpora.add_row(name, place or "–")
    console = terminal()
    for table in (facts, encoders, corpora):
        console.print(table)
        console.print()
    if not asked:
        console.print("Not asked, as it takes ten seconds: whether encoders give the same bytes twice (--repeats).")
