"""`harness score`: VMAF and its company beside `saliency_mean`, of one pair of clips."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

import harness
from harness.cli.events import long
from harness.cli.options import (
    AsJson,
    DryRun,
    Every,
    Fps,
    Metrics,
    Models,
    PixFmt,
    Size,
    VmafModels,
    parse_metrics,
    parse_size,
    readable,
)  # fmt: skip
from harness.cli.output import print_json, say
from harness.cli.progress import progress
from harness.cli.terminal import terminal
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.media.open import Clip
    from harness.studies.score.dry_run import DryScore
    from harness.studies.score.outputs import ScoreOutputs
    from harness.studies.score.pair import Score

SHOWN = re.compile(r"vmaf.*|psnr_y|float_ssim|float_ms_ssim|xpsnr_y|saliency_mean.*")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("score")(long(score))


def score(
    reference: Annotated[
        Path, typer.Argument(help="Reference clip: container, y4m, .yuv or folder of pictures.", parser=readable)
    ],
    distorted: Annotated[
        Path, typer.Argument(help="Distorted clip, the one whose saliency is taken.", parser=readable)
    ],
    models: Models = None,
    vmaf_models: VmafModels = None,
    metrics: Metrics = None,
    backend: Annotated[str, typer.Option("--backend", help="auto, vmaf-cli, ffmpeg-native or embedded.")] = "auto",
    log: Annotated[Path | None, typer.Option("--log", help="Write the log, in the shape of libvmaf's JSON.")] = None,
    shortest: Annotated[bool, typer.Option("--shortest", help="Allow frame counts to differ.")] = False,
    offset_frames: Annotated[int, typer.Option("--offset-frames", help="Distorted frames ahead of reference.")] = 0,
    frames: Annotated[str | None, typer.Option("--frames", help="Only pairs A:B, B not included.")] = None,
    every: Every = 1,
    size: Size = None,
    pix_fmt: PixFmt = None,
    fps: Fps = None,
    allow_highbit: Annotated[bool, typer.Option("--allow-highbit", help="Round to 8 bits for the extractor.")] = False,
    scale: Annotated[
        str | None, typer.Option("--scale", help="Scale the distorted clip to the reference: bicubic or lanczos.")
    ] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Compare both at 8 or 10 bits.")] = None,
    sync: Annotated[
        int, typer.Option("--sync", min=0, help="Find the offset, up to so many frames; scores the common part.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds without progress that mean hung; 0: no limit.")
    ] = 300.0,
    map_out: Annotated[
        Path | None, typer.Option("--map", help="Keep the first model's maps: a .y4m, or a folder for PNGs.")
    ] = None,
    overlay: Annotated[Path | None, typer.Option("--overlay", help="Video of the maps over the clip, .mp4.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Score a distorted clip against its reference; both must agree in size, format, colours, rate and frame count.

    `--scale`, `--depth` and `--sync` bring together what differs; docs/inputs.md says what is read and how.
    `--dry-run` counts frames and prints FFmpeg's filters of each side, its command, and what else would be done.

    Example: `harness score reference.y4m distorted.mp4 --model saliency_student_v2 --log score.json`
    """
    from harness.models.registry import PRODUCTION

    first, last = _range(frames)
    usual = harness.ScorePlan()
    plan = harness.ScorePlan(
        vmaf_models=tuple(vmaf_models or usual.vmaf_models),
        metrics=parse_metrics(metrics, usual.metrics),
        backend=backend,
        shortest=shortest,
        offset=offset_frames,
        first=first,
        last=last,
        every=every,
        allow_highbit=allow_highbit,
        scale=scale,
        depth=depth,
        sync=sync,
        timeout=timeout or None,
    )
    outputs = harness.ScoreOutputs(log, map_out, overlay)
    first_clip, second_clip = _open_pair((reference, distorted), size, pix_fmt, fps)
    _check_outputs(outputs, (first_clip, second_clip), models or [PRODUCTION])
    if dry_run:
        from harness.studies.score.dry_run import dry_score

        dry = dry_score(first_clip, second_clip, models or [PRODUCTION], plan, bool(map_out or overlay))
        print_json(dataclasses.asdict(dry)) if as_json else _show_plan(dry)
        return
    with progress("scoring", "frames") as report:
        result = harness.score(first_clip, second_clip, models or [PRODUCTION], plan, outputs=outputs, progress=report)
    if as_json:
        print_json(result.as_json())
    else:
        _show(result)


def _open_pair(paths: Sequence[Path], size: str | None, pix_fmt: str | None, fps: str | None) -> tuple[Clip, Clip]:
    """Both clips; what raw video needs goes to those that are, and must not be for none."""
    from harness.media.open import RAW_SUFFIXES, open_clip

    raw = [path.suffix.lower() in RAW_SUFFIXES for path in paths]
    rated = [is_raw or path.is_dir() for is_raw, path in zip(raw, paths, strict=True)]
    for name, value, used in (("--size", size, raw), ("--pix-fmt", pix_fmt, raw), ("--fps", fps, rated)):
        if value is not None and not any(used):
            kinds = ", ".join(RAW_SUFFIXES) + (" and folders of pictures" if used is rated else "")
            raise InputError(f"{name} for clips that state their own (allowed for: {kinds})")
    layout = parse_size(size) if size else None
    reference, distorted = (
        open_clip(path, layout if is_raw else None, pix_fmt if is_raw else None, fps if has_rate else None)
        for path, is_raw, has_rate in zip(paths, raw, rated, strict=True)
    )
    return reference, distorted


def _check_outputs(outputs: ScoreOutputs, clips: tuple[Clip, Clip], models: Sequence[str]) -> None:
    """`InputError` for a place where no such output can appear; nothing is left there, so that a dry run asks too."""
    from harness.files import check_new_folder, check_target
    from harness.media.map_files import OVERLAY_SUFFIXES
    from harness.models.registry import find_model

    inputs = {f"{side} clip": clip.info.path for side, clip in zip(("reference", "distorted"), clips, strict=True)}
    outputs.check_apart(inputs | {f"model {file.name}": file.path for file in map(find_model, models)})
    if outputs.overlay and outputs.overlay.suffix.lower() not in OVERLAY_SUFFIXES:
        raise InputError(f"overlay {outputs.overlay} (allowed: {', '.join(OVERLAY_SUFFIXES)})")
    folder = outputs.maps if outputs.maps and not outputs.maps.suffix else None
    if outputs.maps and not folder and outputs.maps.suffix.lower() != ".y4m":
        raise InputError(f"map {outputs.maps} (allowed: a .y4m file, or a folder for PNG files)")
    if folder:
        check_new_folder(folder)
    for path in (outputs.log, outputs.maps, outputs.overlay):
        if path and path is not folder:
            check_target(path)


def _range(text: str | None) -> tuple[int, int | None]:
    if text is None:
        return 0, None
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if not match:
        raise InputError(f"frames {text!r} (allowed: A:B, A: or :B)")
    return int(match[1] or 0), int(match[2]) if match[2] else None


def _show_plan(dry: DryScore) -> None:
    for name, side in (("reference", dry.reference), ("distorted", dry.distorted)):
        shown = f"frames {side.first} to {side.first + dry.pairs - 1} of {side.frames}"
        say(f"{name}: {side.clip}: {side.picture}, {shown}")
        say(f"  {side.chain}")
    scored = f"1 of {dry.every}" if dry.every > 1 else "all"
    say(f"{dry.pairs} pairs, {scored} scored: {', '.join(dry.measures)}; saliency by {dry.backend} ({dry.reason})")
    _show_left_out(dry.left_out)
    say(dry.command)


def _show_left_out(left_out: Mapping[str, str]) -> None:
    for name, why in left_out.items():
        say(f"left out: {name}: {why}")


def _show(result: Score) -> None:
    from harness.quality.libvmaf import pooled

    made = result.provenance
    table = Table(title=f"{Path(made['distorted']).name} against {Path(made['reference']).name}")
    for name in ("metric", "mean", "min", "max", "harmonic mean"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name in filter(SHOWN.fullmatch, result.log.metrics):
        stats = pooled(result.log.column(name))
        shown = [stats[key] for key in ("mean", "min", "max", "harmonic_mean")]
        table.add_row(name, *("none" if value is None else f"{value:.6f}" for value in shown))
    console = terminal()
    console.print(table)
    console.print(f"{len(result.log.frames)} frames · saliency by {made['backend']} ({made['backend_reason']})")
    _show_left_out(made["left_out"])
    for hint in made["hints"]:
        say(f"note: {hint}")
