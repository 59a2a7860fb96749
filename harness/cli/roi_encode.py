"""`harness roi-encode`: steer an encoder with a saliency map and prove that it followed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

import harness
from harness.cli.events import long
from harness.cli.options import (
    AsJson,
    DryRun,
    Encoder,
    Fps,
    MapModel,
    PixFmt,
    Preset,
    Size,
    WorkingSize,
    given_options,
    parse_size,
    readable,
)  # fmt: skip
from harness.cli.output import print_json, say
from harness.cli.progress import stages
from harness.cli.terminal import terminal
from harness.errors import HarnessError, InputError

if TYPE_CHECKING:
    from harness.roi.encoders import Settings
    from harness.studies.roi.auto import Tuned
    from harness.studies.roi.encode import Steered

OVERRULED = {"crf": "--crf", "global_quality": "--crf", "preset": "--preset"}  # the last only where it is given


def register(app: typer.Typer) -> None:
    app.command("roi-encode")(long(roi_encode))


def roi_encode(
    context: typer.Context,
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Containers, y4m, .yuv, folders of pictures, a FIFO, URLs; - is a pipe.", parser=readable),
    ] = None,
    model: MapModel = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default: the clip's name with .roi.mkv, in this folder.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option(help="Folder for the encodes of many clips, each under its name.")
    ] = None,
    clip_list: Annotated[Path | None, typer.Option("--list", help="Text file of more clips, one a line.")] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on after a clip that fails; exit by the worst.")
    ] = False,
    dry_run: DryRun = False,
    encoder: Encoder = "libx264",
    crf: Annotated[float | None, typer.Option(help="Constant quality; the encoder's default without it.")] = None,
    target: Annotated[
        str | None, typer.Option(help="vmaf=93: the CRF at which a plain encode has this VMAF, by short probe encodes.")
    ] = None,
    bitrate: Annotated[int | None, typer.Option(help="Target in kbit/s, instead of --crf.")] = None,
    two_pass: Annotated[
        bool, typer.Option("--two-pass", help="Meet --bitrate by two passes (libx264, libx265).")
    ] = False,
    preset: Preset = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the encoder; repeat for more.")] = None,
    strength: Annotated[
        str,
        typer.Option(
            help="Offsets fall by twice this many QP from saliency 0 to 1, with a zero mean over the frame: "
            "each lies within twice this of 0. auto: what --budget pays for on this clip, or on each of its "
            "long shots, by short probe encodes. 0:4,120:2.5: from these frames on."
        ),
    ] = "4",
    budget: Annotated[
        str | None,
        typer.Option(help="What --strength auto may cost: per cent more bits at equal VMAF [default: vmaf=1]."),
    ] = None,
    share: Annotated[
        str | None, typer.Option(help="P:B, the P most salient pixels get B of the bits: 0.25:0.4")
    ] = None,
    law: Annotated[
        str,
        typer.Option(
            help="From map to offset: map, centre:0.5 (so much of the centre prior), soft:1+centre:0.5 …, listed in "
            "docs/roi-encode.md; map/4: a map of every fourth frame and at cuts, which costs less time."
        ),
    ] = "centre:0.5/2",
    working_size: WorkingSize = "448x256",
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
    """Encode CLIPS with a saliency map steering the encoder, and prove each against the plain encode.

    All else that a clip's file holds is kept; what the container cannot hold is said in one line
    (docs/roi-encode.md says what becomes of what).

    The proof is PSNR inside and outside the region and the bytes of the whole stream, not the bits of each region:
    no decoder here says which block a bit was spent on. H.264's says what QP each block has: `applied` is how much
    that changed. --json has both, and how far offsets go in each decile.

    Example: `harness roi-encode clip.y4m --model production --crf 28 --preview frame.png`, or with what the clip itself
    asks for: `harness roi-encode clip.y4m --target vmaf=93 --strength auto --budget vmaf=1`
    """
    from harness.media.open import open_clip
    from harness.media.spool import on_disk
    from harness.models.registry import PRODUCTION
    from harness.models.sources import find_source
    from harness.roi.encoders import Settings
    from harness.roi.export import EXPORTS, check_export
    from harness.roi.laws import Law
    from harness.roi.preview import check_preview
    from harness.studies.roi.auto import Target
    from harness.studies.roi.batch import pair_up, plan_encode, read_list, worst
    from harness.studies.roi.encode import check_targets, parse_knob
    from harness.studies.roi.probes import PROBE

    pairs = tuple((name, value) for name, _, value in (text.partition("=") for text in option or []))
    if any(not name or not value for name, value in pairs) or len(dict(pairs)) < len(pairs):
        raise InputError(f"--option {' '.join(option or [])} (allowed: NAME=VALUE, each name once)")
    settings = Settings(crf, bitrate, preset or None, pairs, two_pass)
    _refuse_overruled(settings)
    if share and "strength" in given_options(context):
        raise InputError(f"--strength {strength} beside --share {share} (allowed: one of them)")
    knob, pays = parse_knob(strength, budget, share)
    asked = Law.parse(law)
    steering = harness.Steering(harness.WorkingSize.parse(working_size), knob, smoothing, asked, pays)
    wish = Target.parse(target) if target else None
    export = None
    if export_map:
        name, _, path = export_map.partition(":")
        if name not in EXPORTS or not path:
            raise InputError(f"--export-map {export_map!r} (allowed: FORMAT:PATH, FORMAT one of {', '.join(EXPORTS)})")
        export = (name, Path(path))
        check_export(*export)
    if preview:
        check_preview(preview)
    wanted = [*(clips or []), *(map(readable, read_list(clip_list)) if clip_list else [])]
    outs = pair_up(wanted, encoder, out, out_dir)
    if len(wanted) > 1 and (preview or export):
        raise InputError(f"--preview or --export-map with {len(wanted)} clips (allowed: with one)")
    named = {"--preview": preview, "--export-map": export[1] if export else None}
    beside = {name: path for name, path in named.items() if path}
    source, shape = find_source(model or PRODUCTION), parse_size(size) if size else None
    codes, found = [0], []
    with stages({"": "frames"}) as report:
        for clip, place_out in zip(wanted, outs, strict=True):
            prefix = f"{clip}: " if len(wanted) > 1 else ""
            try:
                with on_disk(clip, bool(size), lambda line: say(line, to_stderr=True)) as place:
                    opened = open_clip(place, shape, pix_fmt, fps)
                    if dry_run:
                        check_targets(place, {"--out": place_out, **beside})  # as roi_encode does itself
                        planned = plan_encode(opened, place_out, encoder, settings, steering, wish)
                        found.append({**dataclasses.asdict(planned), "clip": str(clip), "out": str(place_out)})
                        if not as_json:
                            _show_plan(found[-1])
                        continue

                    def show(
                        stage: str, done: int, before: str = prefix, total: int | None = opened.info.frames
                    ) -> None:
                        report(before + stage, done, None if stage == PROBE else total)

                    result = harness.roi_encode(
                        opened, source, place_out,
                        encoder=encoder, settings=settings, steering=steering, target=wish,
                        preview=preview, export=export, progress=show,
                    )  # fmt: skip
            except HarnessError as error:
                if not keep_going:
                    raise
                codes.append(error.exit_code)
                found.append({"clip": str(clip), "error": str(error), "exit_code": error.exit_code})
                say(f"harness: {' '.join(str(error).split())}", to_stderr=True)
                continue
            found.append({**dataclasses.asdict(result), "path": str(result.path)})
            if not as_json:
                _show(result)
    if as_json:
        print_json({"encodes": found})
    raise typer.Exit(worst(codes))


def _refuse_overruled(settings: Settings) -> None:
    """`InputError` for an --option whose place the encoder gives to what another option says, or to its default."""
    for name, value in settings.options:
        flag = OVERRULED.get(name)
        if flag and (flag != "--preset" or settings.preset):
            raise InputError(f"--option {name}={value} would give way to {flag} (allowed: {flag} alone)")


def _show(result: Steered) -> None:
    proof = result.proof
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
    terminal().print(table)
    _show_changes(result.converted, result.not_carried_over)
    if result.tuned:
        _show_tuned(result.tuned)
    if result.advice:
        say(f"exported map: {result.advice}")
    say(f"steered by {result.knob} under the law {result.law}")
    say(
        f"{result.path}: {result.frames} frames, {proof.roi_bytes} bytes of video; plain {proof.plain_bytes} "
        f"({100 * (proof.roi_bytes / proof.plain_bytes - 1):+.2f} %)"
    )
    say(
        f"PSNR-Y {proof.finer_psnr_change:+.2f} dB where bits were added, "
        f"{proof.coarser_psnr_change:+.2f} dB where they were taken"
    )


def _show_tuned(tuned: Tuned) -> None:
    share = "" if tuned.share is None else f", {100 * tuned.share:.0f} % of the time of both encodes"
    say(f"probes: {tuned.frames} frames encoded {tuned.encodes} times in {tuned.seconds:.1f} s{share}")
    if tuned.target:
        say(f"{tuned.target}: CRF {tuned.crf:g}, at which they have {tuned.vmaf:.2f}")
    if tuned.budget:
        bound = f" ({tuned.bound})" if tuned.bound else ""
        say(f"{tuned.budget}: strength {tuned.strength:g}, which costs them {tuned.paid:.2f} % of bits{bound}")
    for shot in tuned.shots:
        paid = "the weakest of those that were probed" if shot.paid is None else f"costs {shot.paid:.2f} %"
        say(f"  shot from frame {shot.first} ({shot.frames} frames): strength {shot.strength:g}, {paid}")


def _show_plan(planned: dict[str, Any]) -> None:
    options = " ".join(f"{name}={value}" for name, value in planned["options"].items())
    say(f"{planned['clip']} -> {planned['out']}: {planned['encoder']} with {options or 'its defaults'}, steered, then")
    if planned["probes"]:
        say(planned["probes"])
    say(planned["command"])
    _show_changes(planned["converted"], planned["not_carried_over"])


def _show_changes(converted: Sequence[str], lost: Sequence[str]) -> None:
    for what, names in (("converted", converted), ("not carried over", lost)):
        if names:
            say(f"{what}: {'; '.join(names)}")
