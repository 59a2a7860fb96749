"""What a score or a ladder would do: which frames, under which filters, by which commands. Nothing is measured."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.loader import ClipPair, load_clips
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import Clip, open_clip
from harness.media.pairing import Input, Survey, as_input, survey
from harness.media.upright import upright
from harness.models.model_file import ModelFile
from harness.models.registry import find_model
from harness.models.session import SaliencyModel, load_model
from harness.quality.libvmaf import PairedInput, measuring
from harness.studies.score.ladder import LadderPlan, check_ladder, encode_words, video_of
from harness.studies.score.pair import ScorePlan, back_end, checked_pair, measurable, paired_input


@dataclass(frozen=True)
class Side:
    """One clip as it is compared: its size, format and rate in words, its first frame of how many that are shown, and
    the `chain` of FFmpeg's filters before the comparison."""

    clip: str
    picture: str
    first: int
    frames: int
    chain: str


@dataclass(frozen=True)
class DryScore:
    """The plan of a score: frame `first + i` of both sides for `i` below `pairs`, every `every`-th.

    `measures` are VMAF's models and the metrics, `left_out` says why others are not; `backend` and `reason` are of the
    saliency extractor; `command` is FFmpeg's, with placeholders for the files that it writes.
    """

    reference: Side
    distorted: Side
    pairs: int
    every: int
    measures: tuple[str, ...]
    left_out: dict[str, str]
    backend: str
    reason: str
    command: str


def dry_score(
    reference: Clip | Path | str,
    distorted: Clip | Path | str,
    models: Sequence[SaliencyModel | ModelFile | Path | str],
    plan: ScorePlan = ScorePlan(),
    maps_wanted: bool = False,
) -> DryScore:
    """What `score` would do with the same arguments; containers are decoded once, to count frames.

    Args:
        reference: A clip or its path.
        distorted: The clip whose saliency would be taken.
        models: As `score` takes them; they are loaded.
        plan: Which metrics, of which frames, by which back end.
        maps_wanted: Whether maps or an overlay are to be kept, which decides the back end.

    Returns:
        The plan in words and numbers.

    Raises:
        InputError: For what `score` would refuse.
    """
    one, two = (open_clip(clip) if isinstance(clip, str | Path) else clip for clip in (reference, distorted))
    loaded = [model if isinstance(model, SaliencyModel) else load_model(model) for model in models]
    ffmpeg, pairing = checked_pair(one, two, loaded, plan)
    paired = paired_input(pairing, None, plan.every)
    metrics, left_out = measurable(paired, plan.metrics, plan.depth or pairing.distorted.info.bit_depth)
    native, reason = back_end(plan, ffmpeg, loaded, two.info, maps_wanted)
    written = Path("vmaf.json"), Path("xpsnr.log")
    words = measuring(paired, plan.vmaf_models, metrics, *written, threads=os.cpu_count() or 1)
    chains = paired.chains()
    assert pairing.seen
    return DryScore(
        reference=_side(pairing.reference, pairing.first_reference, pairing.seen[0], chains["reference"]),
        distorted=_side(pairing.distorted, pairing.first_distorted, pairing.seen[1], chains["distorted"]),
        pairs=pairing.count,
        every=plan.every,
        measures=(*plan.vmaf_models, *metrics),
        left_out=left_out,
        backend=native.name if native else "embedded",
        reason=reason,
        command=shlex.join([str(ffmpeg.path), *words]),
    )


@dataclass(frozen=True)
class DryRung:
    """One clip of a ladder: its encodes, a command per CRF, and what is done to either side before they are compared.

    A folder of pictures is encoded from a y4m of them.
    """

    clip: str
    picture: str
    frames: int | None
    encodes: tuple[str, ...]
    reference_chain: str
    distorted_chain: str


def dry_ladder(
    models: Sequence[str],
    corpus: str = "davis-2016",
    plan: LadderPlan = LadderPlan(),
    *,
    root: Path | None = None,
    clips: Sequence[str] = (),
) -> list[DryRung]:
    """What `ladder` would do with the same arguments, clip by clip; encoders and models are tried, as there.

    `InputError` for what `ladder` would refuse before any work.
    """
    files = [find_model(model) for model in models]
    check_ladder(files, plan)
    for file in files:
        load_model(file)
    return [rung_of(clip, plan) for clip in load_clips(corpus, root, clips)]


def rung_of(clip: ClipPair, plan: LadderPlan) -> DryRung:
    """What a ladder would do with one clip; a container is decoded once, to count its frames."""
    source = open_clip(clip.frames, fps=plan.fps if clip.frames.is_dir() else None)
    seen = survey(source)
    shown, out = upright(source, seen.turn), Path("encode.mkv")
    program = str(find_ffmpeg().path)
    words = [encode_words(video_of(shown), plan.encoder, plan.preset, crf, out) for crf in plan.crfs]
    paired = PairedInput(as_input(shown, None), Input(out), 0, 0, seen.frames, source.info.frame_rate, plan.every)
    chains = paired.chains()
    commands = tuple(shlex.join([program, *encode]) for encode in words)
    return DryRung(clip.name, _picture(shown), seen.frames, commands, chains["reference"], chains["distorted"])


def _side(clip: Clip, first: int, seen: Survey, chain: str) -> Side:
    return Side(str(clip.info.path), _picture(clip), first, seen.frames, chain)


def _picture(clip: Clip) -> str:
    info = clip.info
    rate = f"{float(info.frame_rate):.6g} fps{' on average' if info.variable_rate else ''}"
    return f"{info.width}x{info.height} {info.pix_fmt}, range {info.range}, matrix {info.matrix}, {rate}"
