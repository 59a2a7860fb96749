"""The corpora of a profile: found, or generated once beside the evidence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.context import Contender, Context
from harness.gate.data import clips_of, pairs_of
from harness.models.model_file import ModelFile
from tests.helpers.gate import POLICY
from tests.helpers.models import write_student


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """The demo's profile; the models do not matter."""
    model = Contender(ModelFile.at(write_student(tmp_path / "a.onnx")))
    return Context(model, model, POLICY, POLICY.profile("demo"), tmp_path / "out", announce=lambda _: None)


@pytest.mark.slow
def test_generated_sets_are_as_large_as_the_profile_says(context: Context) -> None:
    assert len(pairs_of(context, "synth")) == context.profile.pairs["synth"]
    assert [clip.name for clip in clips_of(context)] == list(context.profile.clip_names)


@pytest.mark.slow
def test_a_clip_that_is_absent_or_short_decides_nothing(context: Context) -> None:
    """Generated clips as they are, then with one short of a frame, then without it."""
    frames, folder = context.profile.frames, context.corpora / "synth-clips"
    clips_of(context)
    y4m = folder / "clips" / "02-faint.y4m"
    content = y4m.read_bytes()
    y4m.write_bytes(content[: content.rindex(b"FRAME\n")])
    says = rf"{frames - 1} frames of clip 02-faint \(the policy measures {frames} of each"
    context.looked_up.clear()  # a run looks once
    with pytest.raises(InputError, match=says):
        clips_of(context)
    y4m.unlink()
    shutil.rmtree(folder / "masks" / "02-faint")
    with pytest.raises(InputError, match="0 frames of clip 02-faint"):
        clips_of(context)


@pytest.mark.slow
def test_a_profile_may_take_a_short_clip_as_it_is(context: Context) -> None:
    clips_of(context)
    y4m = context.corpora / "synth-clips" / "clips" / "02-faint.y4m"
    y4m.write_bytes(y4m.read_bytes()[: y4m.read_bytes().rindex(b"FRAME\n")])
    whole = replace(context, profile=replace(context.profile, whole_clips=True), looked_up={})
    assert [clip.name for clip in clips_of(whole)] == list(context.profile.clip_names)
