"""`harness score`: one pair of clips, VMAF and its company beside `saliency_mean`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from harness.errors import InputError
from harness.files import whole_file
from harness.media.clips import Clip, open_clip
from harness.quality.libvmaf import DEFAULT_VMAF, pooled
from harness.registry import PRODUCTION, find_model
from harness.saliency.model import SaliencyModel
from harness.score import Plan, Score
from harness.score import score as run_score

SHOWN = re.compile(r"vmaf.*|psnr_y|float_ssim|float_ms_ssim|xpsnr_y|saliency_mean.*")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("score")(score)


def score(
    reference: Annotated[Path, typer.Argument(help="Reference clip: container, y4m, .yuv or folder of pictures.")],
    distorted: Annotated[Path, typer.Argument(help="Distorted clip, the one whose saliency is taken.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Registry id or .onnx; repeatable [default: production].")
    ] = None,
    vmaf_model: Annotated[
        list[str] | None,
        typer.Option("--vmaf-model", help=f"libvmaf model version; repeatable [default: {DEFAULT_VMAF}]."),
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="Of psnr, ssim, ms_ssim, xpsnr.")] = "psnr,ssim,xpsnr",
    backend: Annotated[str, typer.Option("--backend", help="auto, vmaf-cli, ffmpeg-native or embedded.")] = "auto",
    log: Annotated[Path | None, typer.Option("--log", help="Write the log, in the shape of libvmaf's JSON.")] = None,
    shortest: Annotated[bool, typer.Option("--shortest", help="Allow frame counts to differ.")] = False,
    offset_frames: Annotated[int, typer.Option("--offset-frames", help="Distorted frames ahead of reference.")] = 0,
    frames: Annotated[str | None, typer.Option("--frames", help="Only pairs A:B, B not included.")] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Score every N-th pair.")] = 1,
    size: Annotated[str | None, typer.Option("--size", help="WxH of raw YUV.")] = None,
    pix_fmt: Annotated[str | None, typer.Option("--pix-fmt", help="Pixel format of raw YUV.")] = None,
    fps: Annotated[str | None, typer.Option("--fps", help="Frame rate of raw YUV and folders.")] = None,
    allow_highbit: Annotated[bool, typer.Option("--allow-highbit", help="Round to 8 bits for the extractor.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds without progress that mean hung.")] = 300.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the log as JSON.")] = False,
) -> None:
    """Score a distorted clip against its reference; both must agree in size, format, rate and frame count.

    Example: `harness score reference.y4m distorted.mp4 --model saliency_student_v2 --log score.json`
    """
    first, last = _range(frames)
    plan = Plan(
        vmaf_models=tuple(vmaf_model or [DEFAULT_VMAF]),
        metrics=tuple(name for name in metric.split(",") if name),
        backend=backend,
        shortest=shortest,
        offset=offset_frames,
        first=first,
        last=last,
        every=every,
        allow_highbit=allow_highbit,
        timeout=timeout,
    )
    clips = [_open(path, size, pix_fmt, fps) for path in (reference, distorted)]
    models = [SaliencyModel.load(file.path, file.name, file.sha256) for file in map(find_model, model or [PRODUCTION])]
    with _kept(log) as part, _progress() as report:
        result = run_score(clips[0], clips[1], models, plan, progress=report)
        if part:
            result.write(part)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        _show(result)


def _open(path: Path, size: str | None, pix_fmt: str | None, fps: str | None) -> Clip:
    raw = path.suffix.lower() in (".yuv", ".raw")
    return open_clip(
        path, _size(size) if raw else None, pix_fmt if raw else None, fps if raw or path.is_dir() else None
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise InputError(f"size {text!r} (allowed: WxH, for example 640x360)")
    return int(match[1]), int(match[2])


def _range(text: str | None) -> tuple[int, int | None]:
    if text is None:
        return 0, None
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if not match:
        raise InputError(f"frames {text!r} (allowed: A:B, A: or :B)")
    return int(match[1] or 0), int(match[2]) if match[2] else None


def _kept(log: Path | None) -> AbstractContextManager[Path | None]:
    """Where to write before the run is known good: an unwritable place fails now, not after the work."""
    return whole_file(log) if log else nullcontext()


@contextmanager
def _progress() -> Iterator:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(result: Score) -> None:
    made = result.provenance
    table = Table(title=f"{Path(made['distorted']).name} against {Path(made['reference']).name}")
    for name in ("metric", "mean", "min", "max", "harmonic mean"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name in filter(SHOWN.fullmatch, result.log.metrics):
        stats = pooled(result.log.column(name))
        table.add_row(name, *(f"{stats[key]:.6f}" for key in ("mean", "min", "max", "harmonic_mean")))
    console = Console()
    console.print(table)
    console.print(f"{len(result.log.frames)} frames · saliency by {made['backend']} ({made['backend_reason']})")
