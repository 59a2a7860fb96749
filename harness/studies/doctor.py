"""What this machine offers: each program and encoder is asked by running it, never by its version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime

from corpora.loader import corpus_at_hand
from corpora.manifest import load_manifest, manifest_names
from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.media.ffmpeg import FFmpeg, find_ffmpeg
from harness.models import registry
from harness.models.placeholder import write_placeholder
from harness.quality.libvmaf import VMAF_MODELS, vmaf_probe
from harness.quality.native import choose
from harness.roi.encoders import ENCODERS, Encoder, Settings
from harness.roi.proof import probe
from harness.roi.repeats import repeats


@dataclass(frozen=True)
class EncoderFact:
    """`obeys`: the probe saw a map move bits; None where the encoder is not here. `reason` when it does not.

    `repeats`: the same input became the same stream each time; None where it was not asked.
    """

    name: str
    present: bool
    obeys: bool | None
    reason: str
    repeats: bool | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Everything that `harness doctor` says."""

    ffmpeg: str
    ffmpeg_version: str
    ffmpeg_found: str
    libvmaf: str | None
    vmaf_models: tuple[str, ...]
    mobilesal: str
    mobilesal_reason: str
    encoders: tuple[EncoderFact, ...]
    onnxruntime: str
    providers: tuple[str, ...]
    models: tuple[str, ...]
    production: str | None
    corpora: dict[str, str | None]


def diagnose(root: Path | None = None, ask_repeats: bool = False) -> Diagnosis:
    """Ask FFmpeg, its libvmaf, the encoders, the runtime, the registry and the corpora what is here.

    Args:
        root: The folder of corpora.
        ask_repeats: Also ask whether each encoder gives the same bytes each time: three fresh processes, some seconds.

    Returns:
        What answered, and why what did not.

    Raises:
        InputError: Where there is no FFmpeg at all.
    """
    ffmpeg = find_ffmpeg()
    version, models = _libvmaf(ffmpeg)
    with scratch_folder() as folder:
        graph = Path(folder) / "placeholder.onnx"
        write_placeholder(graph)
        extractor, reason = choose("auto", ffmpeg, graph)
    corpora = {name: corpus_at_hand(load_manifest(name), root) for name in manifest_names()}
    return Diagnosis(
        ffmpeg=str(ffmpeg.path),
        ffmpeg_version=ffmpeg.version,
        ffmpeg_found=ffmpeg.found,
        libvmaf=version,
        vmaf_models=models,
        mobilesal=extractor.name if extractor else "embedded",
        mobilesal_reason=reason,
        encoders=_encoders(ffmpeg, ask_repeats),
        onnxruntime=onnxruntime.__version__,
        providers=tuple(onnxruntime.get_available_providers()),
        models=tuple(entry["id"] for entry in registry.entries()),
        production=_production(),
        corpora={name: str(corpus.folder) if corpus else None for name, corpus in corpora.items()},
    )


def _libvmaf(ffmpeg: FFmpeg) -> tuple[str | None, tuple[str, ...]]:
    """libvmaf's version, from a log that it wrote, and the models that it scores two grey frames with."""
    if "libvmaf" not in ffmpeg.filters:
        return None, ()
    versions = {model: version for model in VMAF_MODELS if (version := vmaf_probe(ffmpeg, model)[0])}
    return next(iter(versions.values()), None), tuple(versions)


def _encoders(ffmpeg: FFmpeg, ask_repeats: bool) -> tuple[EncoderFact, ...]:
    # one by one: VP8's threads wait by yielding, and take the cores from whatever runs beside
    facts = [_encoder(encoder, ffmpeg) for encoder in ENCODERS.values()]
    steady = repeats(fact.name for fact in facts if fact.obeys) if ask_repeats else {}
    return tuple(replace(fact, repeats=steady.get(fact.name)) for fact in facts)


def _encoder(encoder: Encoder, ffmpeg: FFmpeg) -> EncoderFact:
    present = encoder.name in ffmpeg.encoders
    if encoder.route == "none":
        return EncoderFact(encoder.name, present, False, encoder.refusal)
    try:
        probe(encoder, Settings())
    except InputError as error:
        return EncoderFact(encoder.name, present, None, str(error))
    except HarnessError as error:
        return EncoderFact(encoder.name, present, False, str(error))
    return EncoderFact(encoder.name, True, True, encoder.conditions)


def _production() -> str | None:
    try:
        return registry.find_model(registry.PRODUCTION).name
    except InputError:
        return None


def as_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as JSON values."""
    content = dict(vars(diagnosis))
    return content | {"encoders": [vars(encoder) for encoder in diagnosis.encoders]}
