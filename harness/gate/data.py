"""The corpora that a profile measures on: found on disk, or generated once beside the evidence."""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path

from corpora.doubts import doubts_about, doubts_about_clips
from corpora.loader import (
    ClipPair,
    Pair,
    clip_digest,
    content_digest,
    load_clips,
    load_manifest,
    load_pairs,
    manifest_names,
)
from corpora.manifest import known_digests
from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.errors import InputError
from harness.gate.context import Context
from harness.gate.groups.base import named
from harness.gate.looks import by_chance
from harness.gate.policy import Profile
from harness.media.open import open_clip

DEMO_SIZE = (320, 192)


def refuse_unknown_sets(profile: Profile, root: Path | None) -> None:
    """Raise `InputError`, with what is allowed, for a root that is no folder or a set that is none of its kind."""
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder (the root of the corpora)")
    asked = [("accuracy", corpus, "pairs") for corpus in profile.accuracy] + [("clips", profile.clips, "clips")]
    for key, name, unit in asked:
        place = f"profiles.{profile.name}.{key}"
        if named(place, load_manifest, name).unit != unit:
            names = [other for other in manifest_names() if load_manifest(other).unit == unit]
            raise InputError(f"policy: {place}: {name} is no set of {unit} (allowed: {', '.join(names)})")


def pairs_of(context: Context, corpus: str) -> list[Pair]:
    """All pairs of an image set; a generated one gets as many as the profile counts."""
    if corpus not in context.looked_up:
        root, seed = context.root, context.policy.statistics.seed
        if load_manifest(corpus).generated:
            root = context.corpora
            write_images(root, ImageOptions(context.profile.pairs[corpus], seed=seed))
        context.looked_up[corpus] = load_pairs(corpus, root)
    found: list[Pair] = context.looked_up[corpus]
    return found


def chosen_pairs(context: Context, corpus: str) -> list[Pair]:
    """The pairs that are measured: all of them, or the first in an order by chance that a look is over."""
    pairs = pairs_of(context, corpus)
    if context.look is None:
        return pairs
    by_name = {pair.name: pair for pair in pairs}
    order = by_chance(list(by_name), context.policy.statistics.seed)
    return [by_name[name] for name in order[: context.question.profile.pairs[corpus]]]


def chosen_clips(context: Context) -> list[ClipPair]:
    """The clips that are measured: the profile's, or those of them that a look is over."""
    return [clip for clip in clips_of(context) if clip.name in context.question.profile.clip_names]


def clips_of(context: Context) -> list[ClipPair]:
    """The profile's clips, by name; `InputError` when one is absent or too short for the profile."""
    profile = context.profile
    if profile.clips not in context.looked_up:
        context.looked_up[profile.clips] = _read_clips(context)
    found: list[ClipPair] = context.looked_up[profile.clips]
    return found


def _read_clips(context: Context) -> list[ClipPair]:
    profile, root = context.profile, context.root
    if load_manifest(profile.clips).generated:
        root, seed = context.corpora, context.policy.statistics.seed
        write_clips(root, ClipOptions(len(profile.clip_names), profile.frames, DEMO_SIZE, seed))
    found = {clip.name: clip for clip in load_clips(profile.clips, root)}
    for name in profile.clip_names:
        count = _frames_in(found[name], profile.frames) if name in found else 0
        if count < (2 if profile.whole_clips else profile.frames):
            raise InputError(
                f"{profile.clips}: {count} frames of clip {name} (the policy measures {profile.frames} of each of "
                f"{', '.join(profile.clip_names)})"
            )
    return [found[name] for name in profile.clip_names]


def doubts(context: Context) -> list[tuple[str, str]]:
    """What is odd about the profile's sets, those of known editions and generated ones aside: set and sentence."""
    found: list[tuple[str, str]] = []
    profile = context.profile
    for corpus in profile.accuracy:
        with contextlib.suppress(InputError):  # a set that is absent is missing, and no more
            pairs = [] if load_manifest(corpus).generated else pairs_of(context, corpus)
            if content_digest(pairs) not in known_digests(corpus).get(corpus, set()):
                found += [(corpus, doubt) for doubt in doubts_about(pairs)]
    with contextlib.suppress(InputError):
        clips = [] if load_manifest(profile.clips).generated else clips_of(context)
        known = known_digests(profile.clips)
        strange = [clip for clip in clips if clip_digest(clip) not in known.get(f"{profile.clips}/{clip.name}", set())]
        found += [(profile.clips, doubt) for doubt in doubts_about_clips(strange)]
    return found


def _frames_in(clip: ClipPair, wanted: int) -> int:
    """How many frames a clip has; counted up to `wanted` where only decoding tells."""
    source = open_clip(clip.frames)
    if source.info.counted and source.info.frames is not None:
        return source.info.frames
    return sum(1 for _ in islice(source, wanted))
