"""Encode a clip with a saliency map steering the encoder, and prove against the plain encode that it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np

from harness.errors import HarnessError, InconclusiveError, InputError
from harness.files import check_apart, check_writable, scratch_folder, whole_file
from harness.locks import file_held
from harness.media.contents import read_contents
from harness.media.encode import Written
from harness.media.frames import Frame
from harness.media.open import Clip, open_clip
from harness.media.pictures import PICTURE_SUFFIXES
from harness.models.sources import MapSource, find_source
from harness.models.working_size import WorkingSize
from harness.roi.encode import Pass, check_frame, check_suffix, encode
from harness.roi.encoders import Encoder, Settings, find_encoder
from harness.roi.export import EXPORTS, check_export
from harness.roi.frame_offsets import FrameOffsets, OffsetsOnDisk, offsets_of_frames
from harness.roi.laws import Law
from harness.roi.offsets import Knob, Share, Shots, Strength
from harness.roi.offsets_file import program_of
from harness.roi.preview import VIDEO_SUFFIXES, Panels, check_preview, write_preview, write_preview_video
from harness.roi.proof import FLAT, Probe, Proof, check_offsets, probe, prove
from harness.roi.remux import Carried, carrier_of, plan_remux, remux
from harness.saliency.colour import true_rgb
from harness.studies.roi.auto import Target, Tuned, check_tuning, tune
from harness.studies.roi.budgets import Budget

Progress = Callable[[str, int], None]
"""Hears the stage and the frames done in it."""

USUAL_SIZE, USUAL_STRENGTH = WorkingSize.parse("448x256"), Strength(4.0)
USUAL_LAW = Law.parse("centre:0.5/2")  # results/roi/laws.md and hold.md: confirmed by clips that did not choose it


@dataclass(frozen=True)
class Steering:
    """How maps become offsets.

    Attributes:
        working: The size at which the model sees a frame.
        knob: How strongly: a `Strength` in QP, one for each of the clip's `Shots`, or a `Share` of the bits for a share
            of the pixels.
        weight: The newest map's share in the average over time, 1 for none.
        law: What of the map the knob is given: half of it and half the centre prior, of every second frame.
        budget: What steering may cost, for the strength that costs just that on the clip; then `knob` is not used.
    """

    working: WorkingSize = USUAL_SIZE
    knob: Knob = USUAL_STRENGTH
    weight: float = 0.5
    law: Law = USUAL_LAW
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise InputError(f"smoothing weight {self.weight:g} (allowed: above 0, at most 1)")
        if self.budget and isinstance(self.knob, Share):
            raise InputError(f"{self.knob} with a budget of {self.budget} (allowed: a strength that is sought for it)")


@dataclass(frozen=True)
class Steered:
    """The encode that was asked for, its proof, and what of the source it holds in another form or not at all.

    `knob` and `law` are those that steered, as `strength:4` and `map`; `tuned` is what probes found, if any
    were asked for. `advice` is what an exported map asks of the encoder that is given it.
    """

    path: Path
    frames: int
    knob: str
    law: str
    probe: Probe
    proof: Proof
    converted: tuple[str, ...] = ()
    not_carried_over: tuple[str, ...] = ()
    tuned: Tuned | None = None
    advice: str = ""


def roi_encode(
    clip: Clip | Path | str,
    model: MapSource | str,
    out: Path | None = None,
    *,
    encoder: str = "libx264",
    settings: Settings = Settings(),
    steering: Steering = Steering(),
    target: Target | None = None,
    preview: Path | None = None,
    export: tuple[str, Path] | None = None,
    progress: Progress = lambda stage, done: None,
) -> Steered:
    """Encode a clip with a saliency map steering the encoder, and prove against the plain encode that it did.

    Args:
        clip: A clip or its path.
        model: Where maps come from: a registry id, `production`, a path to an .onnx file, `centre-prior`, or a source.
        out: The encode, which appears only once the proof holds; else the clip's name with `.roi` in this folder.
        encoder: One of `harness.roi.encoders.ENCODERS` by FFmpeg's name.
        settings: Quality or bitrate, preset and raw options.
        steering: How maps become offsets.
        target: The whole-frame VMAF of a plain encode, for the CRF that has it by encodes of samples of the clip.
        preview: A picture of the middle frame, or a video of all, by its suffix: with the map that steered, block by
            block.
        export: A format of `harness.roi.export.EXPORTS` and a path, for the offsets.
        progress: Hears the stage and the frames done in it.

    Returns:
        The encode's path, and the proof: PSNR and bytes against the plain encode, by decile of saliency.

    Raises:
        InputError: Something is refused: a clip, a model, a setting, a path.
        HarnessError: The encoder did not follow the map, or its program is absent and only `export` could be written.
        InconclusiveError: The offsets move no bits, or a budget cannot be held.
    """
    able, source = find_encoder(encoder), find_source(model)
    clip = open_clip(clip) if isinstance(clip, str | Path) else clip
    out = Path(out or f"{clip.info.path.stem}.roi{able.suffixes[0]}")
    if preview:
        check_preview(preview)
    if export:
        check_export(*export)
    targets = {"--out": out, "--preview": preview, "--export-map": export[1] if export else None}
    check_targets(clip.info.path, {name: path for name, path in targets.items() if path})
    check_tuning(able, settings, steering.budget, target)
    with file_held(out):
        return _proven(clip, source, out, able, settings, steering, target, preview, export, progress)


def _proven(
    clip: Clip, source: MapSource, out: Path, able: Encoder, settings: Settings, steering: Steering,
    target: Target | None, preview: Path | None, export: tuple[str, Path] | None, progress: Progress,
) -> Steered:  # fmt: skip
    clip, carried = prepare(clip, out, able, settings)
    mapper, law, found, tuned = source.open(threads=0), steering.law, None, None
    if steering.budget or target:
        found = probe(able, settings)  # before the many that are in vain where this one fails
        tuned = tune(
            clip, source, able, settings, working=steering.working, weight=steering.weight, law=law,
            budget=steering.budget, target=target, progress=progress,
        )  # fmt: skip
        knob = steering.knob if tuned.knob is None else tuned.knob
        settings, steering = replace(settings, crf=tuned.crf), replace(steering, knob=knob, budget=None)
    steered = offsets_of_frames(clip, mapper, steering.working, steering.knob, able, steering.weight, law)
    if export and able.route == "program":
        _need_program(clip, steered, able, steering, export, progress)
    found = found or probe(able, settings)
    with (
        whole_file(out) as temporary,
        scratch_folder(out) as folder,
        OffsetsOnDisk(Path(folder) / "offsets") as kept,
    ):
        began, passes = monotonic(), _Passes(clip, able, settings, progress)
        suffix = carrier_of(able.suffixes)
        steered_path, plain_path = (Path(folder) / f"{name}{suffix}" for name in ("steered", "plain"))
        roi = passes.encode(
            "with the map", kept.through(steered), lambda: zip(clip, kept.read(), strict=True), steered_path
        )
        _check_maps(kept.read(), clip.info.path)
        check_offsets(kept.read(), steering.knob, able, clip.info.path)
        plain = passes.encode("plain", _bare(clip), lambda: _bare(clip), plain_path)
        if tuned:
            tuned = replace(tuned, share=round(tuned.seconds / (monotonic() - began), 3))
        proof = prove(clip, plain_path, steered_path, kept.read(), able.block, (plain.bytes, roi.bytes))
        remux(steered_path, clip.info, carried, temporary)
        advice = _export(export, kept.read(), clip, able, steering) if export else ""
        titles = _titles(source, steering, able, proof)
        if preview and preview.suffix.lower() in VIDEO_SUFFIXES:
            limit = max(float(np.abs(asked.offsets).max()) for asked in kept.read())
            frames = _panels(clip, open_clip(steered_path), kept.read(), able.block)
            write_preview_video(preview, frames, titles, clip.info.frame_rate, limit)
        elif preview:
            middle = roi.frames // 2
            panels = next(_panels(clip, open_clip(steered_path), kept.read(), able.block, middle))
            write_preview(preview, panels, titles)
    said = carried.converted, carried.lost
    return Steered(out, roi.frames, str(steering.knob), str(law), found, proof, *said, tuned, advice)


def prepare(clip: Clip, out: Path, encoder: Encoder, settings: Settings) -> tuple[Clip, Carried]:
    """The clip with all that is known of it, and what of its file goes into `out`; `InputError` for what is refused."""
    encoder.check(clip.info)
    encoder.options(settings)
    check_suffix(out, encoder)
    clip, contents = read_contents(clip)
    carried = plan_remux(contents, out, encoder.unstated(clip.info))
    check_frame(next(iter(clip)), clip.info.path)
    return clip, carried


def check_targets(clip: Path, targets: Mapping[str, Path]) -> None:
    """`InputError` unless each target can be written, and neither the clip nor another target is lost by it."""
    for name, target in targets.items():
        check_writable(target)
        if target.is_dir():
            raise InputError(f"cannot write {name} {target}: it is a folder (allowed: a file)")
        place = target.resolve()
        if place.parent == clip.resolve() and place.suffix.lower() in PICTURE_SUFFIXES:
            raise InputError(f"{name} {target} is among the clip's pictures (allowed: any other folder)")
    check_apart({"clip": clip}, targets)


def _need_program(
    clip: Clip,
    steered: Iterator[tuple[Frame, FrameOffsets]],
    encoder: Encoder,
    steering: Steering,
    export: tuple[str, Path],
    progress: Progress,
) -> None:
    """Where the encoder's program is not here, write the map alone for one elsewhere, and raise `HarnessError`."""
    try:
        program_of(encoder)
    except InputError as error:
        found = []
        for frame, asked in steered:
            found.append(asked)
            progress("map", frame.index + 1)
        _check_maps(found, clip.info.path)
        check_offsets(found, steering.knob, encoder, clip.info.path)
        advice = _export(export, found, clip, encoder, steering)
        written = f"{export[1]} is written{advice and f' ({advice})'}"
        raise HarnessError(f"{written}, but no encode was made: {error.__cause__}") from error


def _check_maps(steered: Iterable[FrameOffsets], path: Path) -> None:
    """`InconclusiveError` for maps that say nothing, however much the law adds to them."""
    if max((float(np.ptp(asked.means)) for asked in steered), default=0.0) < FLAT:
        raise InconclusiveError(f"the maps of {path} are flat: nothing to steer, so no ROI encode")


def _export(
    export: tuple[str, Path], steered: Iterable[FrameOffsets], clip: Clip, encoder: Encoder, steering: Steering
) -> str:
    """Write the map in another program's format; what that program is to be told beside it."""
    form, (height, width) = EXPORTS[export[0]], (clip.info.height, clip.info.width)
    knob = steering.knob
    grids: Sequence[np.ndarray] = [  # a format with blocks of its own works offsets out anew
        form.offsets(asked.weights, asked.offsets, encoder.block, height, width, knob.at(index))
        for index, asked in enumerate(steered)
    ]
    finer = 0
    if form.based:
        finer, grids = form.based(grids)
    form.write(export[1], grids)
    return f"for a CRF {finer} below that of the plain encode" if finer else ""


Frames = Iterable[tuple[Frame, FrameOffsets | None]]


@dataclass(frozen=True)
class _Passes:
    clip: Clip
    encoder: Encoder
    settings: Settings
    progress: Progress

    def encode(self, stage: str, frames: Frames, again: Callable[[], Frames], out: Path) -> Written:
        """One pass over `frames`; or a first one, thrown away, and then a second over the same from `again`."""
        info = self.clip.info
        if not self.settings.two_pass:
            return encode(info, frames, self.encoder, self.settings, out, self._heard(stage))
        suffix = carrier_of(self.encoder.suffixes)
        with scratch_folder() as folder:
            statistics, first = (Path(folder) / name for name in ("statistics", f"first{suffix}"))
            heard = self._heard(f"{stage}, first pass")
            encode(info, frames, self.encoder, self.settings, first, heard, Pass(1, statistics))
            heard, second = self._heard(f"{stage}, second pass"), Pass(2, statistics)
            return encode(info, again(), self.encoder, self.settings, out, heard, second)

    def _heard(self, stage: str) -> Callable[[int], None]:
        return lambda done: self.progress(f"encode {stage}", done)


def _bare(clip: Clip) -> Frames:
    return ((frame, None) for frame in clip)


def parse_knob(strength: str, budget: str | None = None, share: str | None = None) -> tuple[Knob, Budget | None]:
    """The knob, and the budget where `strength` is `auto`; `InputError` says what is allowed, and what together.

    >>> parse_knob("4"), parse_knob("auto")
    ((Strength(qp=4.0), None), (Strength(qp=4.0), Budget(metric='vmaf', percent=1.0)))
    """
    if strength == "auto":
        if share:
            raise InputError(f"--strength auto beside --share {share} (allowed: one of them)")
        return USUAL_STRENGTH, Budget.parse(budget) if budget else Budget()
    if budget:
        raise InputError(f"--budget {budget} without a strength to seek (allowed: with --strength auto)")
    if share:
        return parse_share(share), None
    try:
        return Strength(float(strength)), None
    except ValueError:
        return Shots.parse(strength), None


def parse_share(text: str) -> Share:
    """`P:B`, two shares; `InputError` says what is allowed."""
    try:
        pixels, bits = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise InputError(f"share {text!r} (allowed: P:B, such as 0.25:0.4)") from error
    return Share(pixels, bits)


def _panels(
    source: Clip, encoded: Clip, steered: Iterable[FrameOffsets], block: int, only: int | None = None
) -> Iterator[Panels]:
    """What to show of every frame, or of the `only` one."""
    for number, (frame, other, asked) in enumerate(zip(source, encoded, steered, strict=True)):
        if only in (None, number):
            yield Panels(true_rgb(frame), asked.means, asked.offsets, block, true_rgb(other))


def _titles(source: MapSource, steering: Steering, encoder: Encoder, proof: Proof) -> tuple[str, str, str, str]:
    change = 100 * (proof.roi_bytes / proof.plain_bytes - 1)
    return (
        "source",
        f"saliency map ({source.name} at {steering.working})",
        f"QP offsets ({steering.knob}, law {steering.law}, zero mean over the clip's area)",
        f"{encoder.name} encode ({change:+.1f} % bits; "
        f"{proof.finer_psnr_change:+.2f} dB inside, {proof.coarser_psnr_change:+.2f} dB outside)",
    )
