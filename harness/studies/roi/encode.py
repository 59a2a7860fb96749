"""Encode a clip with a saliency map steering the encoder, and prove against the plain encode that it did."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import HarnessError, InputError
from harness.files import check_writable, whole_file
from harness.media.frames import Frame
from harness.media.open import Clip, open_clip
from harness.media.pictures import PICTURE_SUFFIXES
from harness.models.registry import find_model
from harness.models.sources import CENTRE_PRIOR, CentrePrior, MapSource, ModelSource
from harness.models.working_size import WorkingSize
from harness.roi.by_file import program_of
from harness.roi.copied_streams import check_companions
from harness.roi.encode import Encoded, Pass, check_frame, check_suffix, encode
from harness.roi.encoders import Encoder, Settings
from harness.roi.export import EXPORTS, check_export
from harness.roi.offsets import Knob, Share
from harness.roi.plans import Plan, plans_of
from harness.roi.preview import VIDEO_SUFFIXES, Panels, check_preview, write_preview, write_preview_video
from harness.roi.proof import Comparison, Probe, check_plans, compare, probe
from harness.saliency.colour import true_rgb

Progress = Callable[[str, int], None]
"""Hears the stage and the frames done in it."""


@dataclass(frozen=True)
class Steering:
    """How maps become offsets: where they come from, at which size, how strongly, and how steadily.

    `weight` is the newest map's share in the average over time, 1 for none.
    """

    source: MapSource
    working: WorkingSize
    knob: Knob
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise InputError(f"smoothing weight {self.weight:g} (allowed: above 0, at most 1)")


@dataclass(frozen=True)
class Steered:
    """The encode that was asked for, and its proof."""

    path: Path
    frames: int
    probe: Probe
    comparison: Comparison


def steer(
    clip: Clip,
    out: Path,
    encoder: Encoder,
    settings: Settings,
    steering: Steering,
    preview: Path | None = None,
    export: tuple[str, Path] | None = None,
    progress: Progress = lambda stage, done: None,
) -> Steered:
    """Probe, encode with the map, encode plainly, compare; `out` appears only once the proof holds.

    `preview` gets a picture of the middle frame, or a video of all, by its suffix; `export` is a format of `EXPORTS`
    and a path for the offsets.
    Raises `InputError` when something is refused, `HarnessError` when the encoder did not follow the map, or its
    program is absent and only `export` could be written, and `InconclusiveError` when the offsets move no bits.
    """
    out = Path(out)
    if preview:
        check_preview(preview)
    if export:
        check_export(*export)
    _check_targets(clip.info.path, [out, *([preview] if preview else []), *([export[1]] if export else [])])
    encoder.check(clip.info)
    encoder.options(settings)
    check_suffix(out, encoder)
    if clip.info.audio or clip.info.subtitles:
        check_companions(clip.info.path, out)
    check_frame(next(iter(clip)), clip.info.path)
    mapper = steering.source.open(threads=0)
    planned = plans_of(clip, mapper, steering.working, steering.knob, encoder, steering.weight)
    if export and encoder.route == "program":
        _need_program(clip, planned, encoder, steering.knob, export, progress)
    found = probe(encoder, settings)
    with (
        whole_file(out) as temporary,
        tempfile.TemporaryDirectory(prefix=".roi-", dir=out.parent) as folder,
        _PlanFile(Path(folder) / "plans") as kept,
    ):
        companions = clip.info.path if clip.info.audio or clip.info.subtitles else None
        run = _Run(clip, encoder, settings, progress)
        roi = run.encode(
            "with the map", kept.through(planned), lambda: zip(clip, kept.read(), strict=True), temporary, companions
        )
        check_plans(kept.read(), steering.knob, encoder, clip.info.path)
        plain_path = Path(folder) / f"plain{encoder.suffixes[0]}"
        plain = run.encode("plain", _bare(clip), lambda: _bare(clip), plain_path)
        proof = compare(clip, plain_path, temporary, kept.read(), encoder.block, (plain.bytes, roi.bytes))
        if export:
            _export(export, kept.read(), clip, encoder, steering.knob)
        if preview and preview.suffix.lower() in VIDEO_SUFFIXES:
            limit = max(float(np.abs(plan.offsets).max()) for plan in kept.read())
            frames = _panels(clip, open_clip(temporary), kept.read(), encoder.block)
            write_preview_video(preview, frames, _titles(steering, encoder, proof), clip.info.frame_rate, limit)
        elif preview:
            middle = roi.frames // 2
            frame = _nth(clip, middle)
            plan = next(plan for index, plan in enumerate(kept.read()) if index == middle)
            rgb = true_rgb(frame)
            saliency = np.asarray(mapper(str(middle), rgb, steering.working))
            panels = Panels(rgb, saliency, plan.offsets, encoder.block, true_rgb(_nth(open_clip(temporary), middle)))
            write_preview(preview, panels, _titles(steering, encoder, proof))
    return Steered(out, roi.frames, found, proof)


def _check_targets(clip: Path, targets: Sequence[Path]) -> None:
    """`InputError` unless each target can be written, and neither the clip nor another target is lost by it."""
    taken: list[Path] = []
    for target in targets:
        check_writable(target)
        if target.is_dir():
            raise InputError(f"cannot write {target}: it is a folder (allowed: a file)")
        place = target.resolve()
        if place == clip.resolve():
            raise InputError(f"{target} is the clip itself (allowed: any other path)")
        if place.parent == clip.resolve() and place.suffix.lower() in PICTURE_SUFFIXES:
            raise InputError(f"{target} is among the clip's pictures (allowed: any other folder)")
        for other in taken:
            if place == other or place in other.parents or other in place.parents:
                raise InputError(f"{target} and {other} are one place (allowed: a path for each of out, preview, map)")
        taken.append(place)


def _need_program(
    clip: Clip,
    planned: Iterator[tuple[Frame, Plan]],
    encoder: Encoder,
    knob: Knob,
    export: tuple[str, Path],
    progress: Progress,
) -> None:
    """Where the encoder's program is not here, write the map alone for one elsewhere, and raise `HarnessError`."""
    try:
        program_of(encoder)
    except InputError as error:
        plans = []
        for frame, plan in planned:
            plans.append(plan)
            progress("map", frame.index + 1)
        check_plans(plans, knob, encoder, clip.info.path)
        _export(export, plans, clip, encoder, knob)
        raise HarnessError(f"{export[1]} is written, but no encode was made: {error.__cause__}") from error


def _export(export: tuple[str, Path], plans: Iterable[Plan], clip: Clip, encoder: Encoder, knob: Knob) -> None:
    form, (height, width) = EXPORTS[export[0]], (clip.info.height, clip.info.width)
    grids = (form.offsets(plan.means, plan.offsets, encoder.block, height, width, knob) for plan in plans)
    form.write(export[1], list(grids))


Steps = Iterable[tuple[Frame, Plan | None]]


@dataclass(frozen=True)
class _Run:
    clip: Clip
    encoder: Encoder
    settings: Settings
    progress: Progress

    def encode(
        self, stage: str, frames: Steps, again: Callable[[], Steps], out: Path, companions: Path | None = None
    ) -> Encoded:
        """One pass over `frames`; or a first one, thrown away, and then a second over the same from `again`."""
        info = self.clip.info
        if not self.settings.two_pass:
            return encode(info, frames, self.encoder, self.settings, out, self._heard(stage), companions)
        with tempfile.TemporaryDirectory(prefix="harness-pass-") as folder:
            statistics, first = Path(folder) / "statistics", Path(folder) / f"first{self.encoder.suffixes[0]}"
            heard = self._heard(f"{stage}, first pass")
            encode(info, frames, self.encoder, self.settings, first, heard, one_of_two=Pass(1, statistics))
            heard, second = self._heard(f"{stage}, second pass"), Pass(2, statistics)
            return encode(info, again(), self.encoder, self.settings, out, heard, companions, second)

    def _heard(self, stage: str) -> Callable[[int], None]:
        return lambda done: self.progress(f"encode {stage}", done)


def _bare(clip: Clip) -> Steps:
    return ((frame, None) for frame in clip)


def map_source(asked: str) -> MapSource:
    """`centre-prior`, a registry id, `production` or a path to a model, to a source of maps."""
    if asked == CENTRE_PRIOR:
        return CentrePrior()
    model = find_model(asked)
    return ModelSource(model.name, model)


def parse_share(text: str) -> Share:
    """`P:B`, two shares; `InputError` says what is allowed."""
    try:
        pixels, bits = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise InputError(f"share {text!r} (allowed: P:B, such as 0.25:0.4)") from error
    return Share(pixels, bits)


def _nth(clip: Clip, number: int) -> Frame:
    return next(frame for frame in clip if frame.index == number)


def _panels(source: Clip, encoded: Clip, plans: Iterable[Plan], block: int) -> Iterator[Panels]:
    for frame, other, plan in zip(source, encoded, plans, strict=True):
        yield Panels(true_rgb(frame), plan.means, plan.offsets, block, true_rgb(other))


def _titles(steering: Steering, encoder: Encoder, proof: Comparison) -> tuple[str, str, str, str]:
    change = 100 * (proof.roi_bytes / proof.plain_bytes - 1)
    return (
        "source",
        f"saliency map ({steering.source.name} at {steering.working})",
        f"QP offsets ({steering.knob}, zero mean over the clip's area)",
        f"{encoder.name} encode ({change:+.1f} % bits; "
        f"{proof.finer_psnr_change:+.2f} dB inside, {proof.coarser_psnr_change:+.2f} dB outside)",
    )


class _PlanFile:
    """Plans on disk, so that memory stays flat however long the clip is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shape: tuple[int, int] = (0, 0)

    def __enter__(self) -> _PlanFile:
        self.stream = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def through(self, planned: Iterator[tuple[Frame, Plan]]) -> Iterator[tuple[Frame, Plan | None]]:
        """The same items; each plan is kept on its way."""
        for frame, plan in planned:
            self.shape = (plan.means.shape[0], plan.means.shape[1])
            np.stack([plan.means, plan.offsets]).astype(np.float32).tofile(self.stream)
            yield frame, plan

    def read(self) -> Iterator[Plan]:
        """All plans, in order."""
        self.stream.flush()
        values = 2 * self.shape[0] * self.shape[1]
        with self.path.open("rb") as stream:
            while (block := np.fromfile(stream, np.float32, values)).size:
                means, offsets = block.astype(np.float64).reshape(2, *self.shape)
                yield Plan(means, offsets)
