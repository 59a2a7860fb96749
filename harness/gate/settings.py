"""What the policy's schema cannot know: whether every name in it means something here. Asked before any measuring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corpora.manifest import load_manifest, manifest_names
from harness import metrics
from harness.errors import InputError
from harness.gate.context import Context
from harness.gate.groups import accuracy, feature
from harness.gate.policy import Profile
from harness.models.working_size import WorkingSize
from harness.roi.encoders import Settings, find_encoder
from harness.roi.offsets import Strength


def refuse_unknown(context: Context) -> None:
    """Raise `InputError`, with what is allowed, for a root that is no folder or a setting that nothing here knows."""
    if context.root is not None and not context.root.is_dir():
        raise InputError(f"{context.root}: no such folder (the root of the corpora)")
    policy = context.policy
    _named("accuracy.working_size", WorkingSize.parse, policy.accuracy.working_size)
    for measure in accuracy.measures_of(context):
        _named("accuracy", lambda key: metrics.metric(key).sign, measure)
    encoder = _named("roi.encoder", find_encoder, policy.roi.encoder)
    _named("roi.strength", Strength, policy.roi.strength)
    for crf in policy.roi.crf:
        _named("roi.crf", encoder.options, Settings(crf=crf))
    for crf in policy.feature.crf:
        _named("feature.crf", find_encoder(feature.ENCODER).options, Settings(crf=crf))
    _refuse_unknown_sets(context.profile)


def _refuse_unknown_sets(profile: Profile) -> None:
    asked = [("accuracy", corpus, "pairs") for corpus in profile.accuracy] + [("clips", profile.clips, "clips")]
    for key, name, unit in asked:
        place = f"profiles.{profile.name}.{key}"
        if _named(place, load_manifest, name).unit != unit:
            names = [other for other in manifest_names() if load_manifest(other).unit == unit]
            raise InputError(f"policy: {place}: {name} is no set of {unit} (allowed: {', '.join(names)})")


def _named(place: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except InputError as error:
        raise InputError(f"policy: {place}: {error}") from error
