"""`harness roi-encode`: steer an encoder with a saliency map and prove that it followed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import harness
from harness.cli.options import AsJson, Fps, MapModel, PixFmt, Size, parse_size
from harness.cli.output import print_json, say
from harness.cli.progress import stages
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    app.command("roi-encode")(roi_encode)


def roi_encode(
    clip: Annotated[Path, typer.Argument(help="Container, y4m, .yuv or a folder of pictures.")],
    model: MapModel = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default: the clip's name with .roi.mkv, in this folder.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="libx264, libx265, libvpx-vp9, libkvazaar …; `harness doctor` says which work here.")
    ] = "libx264",
    crf: Annotated[float | None, typer.Option(help="Constant quality; the encoder's default without it.")] = None,
    bitrate: Annotated[int | None, typer.Option(help="Target in kbit/s, instead of --crf.")] = None,
    two_pass: Annotated[bool, typer.Option(help="Meet --bitrate by two passes (libx264, libx265).")] = False,
    preset: Annotated[str | None, typer.Option(help="The encoder's preset.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the encoder; repeat for more.")] = None,
    strength: Annotated[
        float,
        typer.Option(
            help="Offsets fall by twice this many QP from saliency 0 to 1, with a zero mean over the frame: "
            "each lies within twice this of 0."
        ),
    ] = 4.0,
    share: Annotated[
        str | None, typer.Option(help="P:B, the P most salient pixels get B of the bits: 0.25:0.4")
    ] = None,
    working_size: Annotated[str, typer.Option(help="native, N, short:N or WxH: how the model sees it.")] = "448x256",
    smoothing: Annotated[float, typer.Option(help="Weight of the newest map over time; 1 is none.")] = 0.5,
    preview: Annotated[
        Path | None, typer.Option(help=".png of a frame or .mp4 of all: source, map, offsets, encode.")
    ] = None,
    export_map: Annotated[str | None, typer.Option(help="FORMAT:PATH; kvazaar, svtav1, x264-json, png or npz.")] = None,
    size: Size = None,
    pix_fmt: PixFmt = None,
    fps: Fps = None,
    as_json: AsJson = False,
) -> None:
    """Encode CLIP with a saliency map steering the encoder, and prove it against the plain encode.

    The proof is PSNR inside and outside the region and the bytes of the whole stream, not the bits of each region:
    no decoder here says which block a bit was spent on. H.264's says what QP each block has: `applied` is how much
    that changed. --json has both, and how far offsets go in each decile.

    Example: `harness roi-encode clip.y4m --model production --crf 28 --preview frame.png`
    """
    from harness.media.open import open_clip
    from harness.models.registry import PRODUCTION
    from harness.roi.encoders import Settings
    from harness.roi.export import EXPORTS
    from harness.roi.offsets import Strength
    from harness.studies.roi.encode import parse_share

    pairs = tuple((name, value) for name, _, value in (text.partition("=") for text in option or []))
    if any(not name or not value for name, value in pairs):
        raise InputError(f"--option {option} (allowed: NAME=VALUE)")
    settings = Settings(crf, bitrate, preset, pairs, two_pass)
    knob = parse_share(share) if share else Strength(strength)
    steering = harness.Steering(harness.WorkingSize.parse(working_size), knob, smoothing)
    export = None
    if export_map:
        name, _, path = export_map.partition(":")
        if name not in EXPORTS or not path:
            raise InputError(f"--export-map {export_map!r} (allowed: FORMAT:PATH, FORMAT one of {', '.join(EXPORTS)})")
        export = (name, Path(path))
    opened = open_clip(clip, parse_size(size) if size else None, pix_fmt, fps)
    with stages() as report:

        def show(stage: str, done: int) -> None:
            report(stage, done, opened.info.frames)

        result = harness.roi_encode(
            opened, model or PRODUCTION, out,
            encoder=encoder, settings=settings, steering=steering, preview=preview, export=export, progress=show,
        )  # fmt: skip
    proof = result.proof
    if as_json:
        print_json({**dataclasses.asdict(result), "path": str(result.path)})
        return
    table = Table(
        "decile (1: most salient)", "saliency", "QP offset", "applied", "PSNR-Y plain", "PSNR-Y ROI", "change"
    )
    for row in proof.deciles:
        change = row.psnr_roi - row.psnr_plain
        applied = "–" if row.qp_plain is None or row.qp_roi is None else f"{row.qp_roi - row.qp_plain:+.2f}"
        table.add_row(
            str(row.decile), f"{row.saliency:.3f}", f"{row.offset_qp:+.2f}",
            applied,
            f"{row.psnr_plain:.2f}", f"{row.psnr_roi:.2f}", f"{change:+.2f}",
        )  # fmt: skip
    Console().print(table)
    say(
        f"{result.path}: {result.frames} frames, {proof.roi_bytes} bytes of video; plain {proof.plain_bytes} "
        f"({100 * (proof.roi_bytes / proof.plain_bytes - 1):+.2f} %)"
    )
    say(
        f"PSNR-Y {proof.finer_psnr_change:+.2f} dB where bits were added, "
        f"{proof.coarser_psnr_change:+.2f} dB where they were taken"
    )
