"""`harness score`: VMAF and its company beside `saliency_mean`, of one pair of clips or of a ladder over a set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from corpora.loader import load_clips
from harness.cli.progress import progress
from harness.cli.raw import Fps, PixFmt, Size, parse_size
from harness.errors import InputError
from harness.files import check_apart, whole_file, write_text
from harness.jobs import Store, open_executor
from harness.media.frames import RAW_SUFFIXES, Clip, open_clip
from harness.media.map_files import map_writer, overlay_writer
from harness.models.registry import PRODUCTION, ModelFile, find_model
from harness.models.session import SaliencyModel
from harness.quality.libvmaf import DEFAULT_VMAF, VMAF_MODELS, pooled
from harness.saliency.colour import true_rgb
from harness.saliency.feature import Sample
from harness.studies.score.ladder import Ladder, run_ladder
from harness.studies.score.pair import Plan, Score
from harness.studies.score.pair import score as run_score
from harness.studies.score.tables import ladder_tables
from harness.tables import markdown, table_json, this_command, write_table

SHOWN = re.compile(r"vmaf.*|psnr_y|float_ssim|float_ms_ssim|xpsnr_y|saliency_mean.*")
PAIR_ONLY = (
    "backend", "log", "shortest", "offset_frames", "frames", "size", "pix_fmt", "allow_highbit", "timeout", "map_out",
    "overlay",
)  # fmt: skip
LADDER_ONLY = ("root", "clips", "encoder", "preset", "crf", "out", "cache", "executor")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("score")(score)


def score(
    context: typer.Context,
    reference: Annotated[
        Path | None, typer.Argument(help="Reference clip: container, y4m, .yuv or folder of pictures.")
    ] = None,
    distorted: Annotated[Path | None, typer.Argument(help="Distorted clip, the one whose saliency is taken.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Registry id or .onnx; repeatable [default: production].")
    ] = None,
    vmaf_model: Annotated[
        list[str] | None,
        typer.Option("--vmaf-model", help=f"Of {', '.join(VMAF_MODELS)} …; repeatable [default: {DEFAULT_VMAF}]."),
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="Of psnr, ssim, ms_ssim, xpsnr.")] = "psnr,ssim,xpsnr",
    backend: Annotated[str, typer.Option("--backend", help="auto, vmaf-cli, ffmpeg-native or embedded.")] = "auto",
    log: Annotated[Path | None, typer.Option("--log", help="Write the log, in the shape of libvmaf's JSON.")] = None,
    shortest: Annotated[bool, typer.Option("--shortest", help="Allow frame counts to differ.")] = False,
    offset_frames: Annotated[int, typer.Option("--offset-frames", help="Distorted frames ahead of reference.")] = 0,
    frames: Annotated[str | None, typer.Option("--frames", help="Only pairs A:B, B not included.")] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Score every N-th pair.")] = 1,
    size: Size = None,
    pix_fmt: PixFmt = None,
    fps: Fps = None,
    allow_highbit: Annotated[bool, typer.Option("--allow-highbit", help="Round to 8 bits for the extractor.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds without progress that mean hung; 0: no limit.")
    ] = 300.0,
    map_out: Annotated[
        Path | None, typer.Option("--map", help="Keep the first model's maps: a .y4m, or a folder for PNGs.")
    ] = None,
    overlay: Annotated[Path | None, typer.Option("--overlay", help="Video of the maps over the clip, .mp4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the log, or the tables, as JSON.")] = False,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Ladder over this clip set instead of a pair.")] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Its place [default: HARNESS_CORPORA, cache].")] = None,
    clips: Annotated[str | None, typer.Option("--clips", help="Ladder: only these clips, by name.")] = None,
    encoder: Annotated[str, typer.Option("--encoder", help="Ladder: FFmpeg encoder.")] = "libx264",
    preset: Annotated[str, typer.Option("--preset", help="Ladder: its preset; empty for none.")] = "medium",
    crf: Annotated[str, typer.Option("--crf", help="Ladder: CRFs.")] = "22,27,32,37",
    out: Annotated[Path, typer.Option("--out", help="Ladder: folder of the tables.")] = Path("runs/score"),
    cache: Annotated[Path, typer.Option("--cache", help="Ladder: finished jobs, kept.")] = Path("runs/score/jobs"),
    executor: Annotated[str, typer.Option("--executor", help="Ladder: local[:N], dask://H:P, slurm.")] = "local",
) -> None:
    """Score a distorted clip against its reference; both must agree in size, format, rate and frame count.

    With `--corpus`, encode every clip of a set at every CRF, score all, and write tables of how `saliency_mean` moves.

    Example: `harness score reference.y4m distorted.mp4 --model saliency_student_v2 --log score.json`

    Example: `harness score --corpus davis-2016 --crf 22,27,32,37 --model saliency_student_v1 --model
    saliency_student_v2 --out results/score`
    """
    _refuse_lost(context, ladder=corpus is not None)
    metrics = tuple(name for name in metric.split(",") if name)
    vmaf_models = tuple(vmaf_model or [DEFAULT_VMAF])
    files = [find_model(name) for name in model or [PRODUCTION]]
    if corpus:
        if reference or distorted:
            raise InputError("--corpus scores a whole set (allowed: REFERENCE DISTORTED, or --corpus NAME)")
        ladder = Ladder(encoder, preset or None, _crfs(crf), fps or "24", every, vmaf_models, metrics)
        _ladder(corpus, root, clips, files, ladder, executor, cache, out, as_json)
        return
    if reference is None or distorted is None:
        raise InputError("nothing to score (allowed: REFERENCE DISTORTED, or --corpus NAME)")
    first, last = _range(frames)
    plan = Plan(
        vmaf_models=vmaf_models,
        metrics=metrics,
        backend=backend,
        shortest=shortest,
        offset=offset_frames,
        first=first,
        last=last,
        every=every,
        allow_highbit=allow_highbit,
        timeout=timeout or None,
    )
    models = [SaliencyModel.load(file.path, file.name, file.sha256) for file in files]
    inputs = {"reference clip": reference, "distorted clip": distorted} | {
        f"model {file.name}": file.path for file in files
    }
    outputs = {"--log": log, "--map": map_out, "--overlay": overlay}
    check_apart(inputs, {name: path for name, path in outputs.items() if path})
    pair = _open_pair((reference, distorted), size, pix_fmt, fps)
    with _kept(log) as part, _pictures(map_out, overlay, pair[1]) as keep, progress("scoring") as report:
        result = run_score(pair[0], pair[1], models, plan, progress=report, on_sample=keep)
        if part:
            result.write(part)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        _show(result)


def _ladder(
    corpus: str,
    root: Path | None,
    names: str | None,
    files: list[ModelFile],
    ladder: Ladder,
    executor: str,
    cache: Path,
    out: Path,
    as_json: bool,
) -> None:
    clips = load_clips(corpus, root)
    if names:
        known = {clip.name: clip for clip in clips}
        unknown = [name for name in names.split(",") if name not in known]
        if unknown:
            raise InputError(f"{corpus} has no clip {unknown[0]!r} (allowed: {', '.join(known)})")
        clips = [known[name] for name in names.split(",")]
    with progress("scoring") as report:
        rows = run_ladder(clips, files, ladder, lambda: open_executor(executor), Store(cache), report)
    made = ladder_tables(rows, this_command())
    for table in made:
        write_table(table, out)
    for name, content in (("encodes", rows.encodes), ("references", rows.references)):
        write_text(out / f"{name}.csv", content.to_csv(index=False, float_format="%.6f"))
    if as_json:
        typer.echo(json.dumps({table.name: table_json(table) for table in made}, indent=2, allow_nan=False))
        return
    console = Console()
    for table in made:
        console.print(Markdown(f"**{table.title}**\n\n{markdown(table.rows)}"))
    console.print(f"tables and rows in {out}")


def _refuse_lost(context: typer.Context, ladder: bool) -> None:
    """`InputError` for an option that was given and would do nothing."""
    lost, home = (PAIR_ONLY, "a pair of clips, without --corpus") if ladder else (LADDER_ONLY, "a ladder, by --corpus")
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in lost and source and source.name == "COMMANDLINE":
            raise InputError(f"{parameter.opts[0]} would do nothing here (allowed: for {home})")


def _crfs(text: str) -> tuple[int, ...]:
    values = text.split(",")
    if not all(value.isdecimal() for value in values):
        raise InputError(f"CRFs {text!r} (allowed: whole numbers, such as 22,27,32,37)")
    return tuple(map(int, values))


def _open_pair(paths: Sequence[Path], size: str | None, pix_fmt: str | None, fps: str | None) -> list[Clip]:
    """Both clips; what raw video needs goes to those that are, and must not be for none."""
    raw = [path.suffix.lower() in RAW_SUFFIXES for path in paths]
    rated = [is_raw or path.is_dir() for is_raw, path in zip(raw, paths, strict=True)]
    for name, value, used in (("--size", size, raw), ("--pix-fmt", pix_fmt, raw), ("--fps", fps, rated)):
        if value is not None and not any(used):
            kinds = ", ".join(RAW_SUFFIXES) + (" and folders of pictures" if used is rated else "")
            raise InputError(f"{name} for clips that state their own (allowed for: {kinds})")
    layout = parse_size(size)
    return [
        open_clip(path, layout if is_raw else None, pix_fmt if is_raw else None, fps if has_rate else None)
        for path, is_raw, has_rate in zip(paths, raw, rated, strict=True)
    ]


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
def _pictures(map_out: Path | None, overlay: Path | None, clip: Clip) -> Iterator[Callable[[Sample], None] | None]:
    """What to do with every frame's maps, if anything."""
    if map_out is None and overlay is None:
        yield None
        return
    rate = clip.info.frame_rate
    with ExitStack() as files:
        keep_map = files.enter_context(map_writer(map_out, rate)) if map_out else None
        keep_view = files.enter_context(overlay_writer(overlay, rate)) if overlay else None

        def keep(sample: Sample) -> None:
            if keep_map:
                keep_map(sample.maps[0])
            if keep_view:
                keep_view(true_rgb(sample.frame), sample.maps[0])

        yield keep


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
