"""`harness validate`: students on the training corpus's held-out fold."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from harness.cli.events import long
from harness.cli.options import AsJson, Check, Models, OptionalOut, Root
from harness.cli.output import print_json, print_rows
from harness.cli.progress import remark, stages
from harness.cli.survey import look_over


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("validate")(long(validate))


def validate(
    models: Models = None,
    views: Annotated[
        list[str] | None,
        typer.Option("--view", help="crop (default, upstream's), whole, or wide: objects at half size; repeatable."),
    ] = None,
    corpus: Annotated[str, typer.Option("--corpus", help="Training corpus.")] = "duts-tr",
    root: Root = None,
    out: OptionalOut = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Validation IoU of any ONNX students on the training corpus's held-out fold, by upstream's protocol.

    Example: `harness validate --model saliency_student_v2 --root /data/DUTS-TR`
    """
    from corpora.loader import cache_folder, load_pairs
    from harness.jobs.provenance import this_command
    from harness.locks import folder_held
    from harness.media.pictures import FOREGROUND
    from harness.models.registry import PRODUCTION
    from harness.models.session import load_model
    from harness.tables import json_records, write_table
    from train.validation import validation_rows, validation_table

    loaded = [load_model(name) for name in models or [PRODUCTION]]
    pairs = load_pairs(corpus, root)
    with folder_held(out) if out else nullcontext(), stages() as report:
        look_over({corpus: pairs}, FOREGROUND, check, report)
        rows = validation_rows(loaded, pairs, views or ["crop"], cache_folder().parent / "decoded", corpus, report)
        if out:
            for path in write_table(validation_table(rows, loaded, corpus, pairs, this_command()), out):
                remark(f"wrote {path}")
    if as_json:
        print_json({"rows": json_records(rows)})
    else:
        print_rows(rows, ".5f")
