"""The corpora that a profile measures on: found on disk, or generated once beside the evidence."""

from __future__ import annotations

from pathlib import Path

from corpora.loader import ClipPair, Pair, load_clips, load_manifest, load_pairs
from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.gate.context import Context

DEMO_CLIPS, DEMO_SIZE = 3, (320, 192)


def pairs_of(context: Context, corpus: str) -> list[Pair]:
    """All pairs of an image set; a generated one gets as many as the profile counts."""
    if not load_manifest(corpus).generated:
        return load_pairs(corpus, context.root)
    write_images(_generated(context), ImageOptions(context.profile.pairs[corpus], seed=context.policy.statistics.seed))
    return load_pairs(corpus, _generated(context))


def clips_of(context: Context) -> list[ClipPair]:
    """All clips of the profile's set; generated ones are as long as the profile says."""
    corpus = context.profile.clips
    if not load_manifest(corpus).generated:
        return load_clips(corpus, context.root)
    options = ClipOptions(DEMO_CLIPS, context.profile.frames, DEMO_SIZE, context.policy.statistics.seed)
    write_clips(_generated(context), options)
    return load_clips(corpus, _generated(context))


def _generated(context: Context) -> Path:
    return context.out / "corpora"
