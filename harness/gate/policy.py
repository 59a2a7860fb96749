"""The gate's rules as data: read from TOML, checked against a schema, hashed, frozen."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema

from harness.errors import InputError
from harness.files import read_json
from harness.stats import Statistics

DEFAULT = Path(__file__).parent / "gate.toml"
SCHEMA = Path(__file__).parent / "policy.schema.json"

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class ContractPolicy:
    """Frame sizes that the candidate must run at."""

    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class AccuracyPolicy:
    """One primary measure to be better at, and how much may be lost in the others."""

    working_size: str
    primary: str
    primary_margin: float
    size_measure: str
    size_allowance: float
    allowances: dict[str, float]


@dataclass(frozen=True)
class FeaturePolicy:
    """What `saliency_mean` must do: differ between clips, survive compression, agree with the native extractor."""

    crf: tuple[int, ...]
    spread_above: float
    drift_within: float
    drift_allowance: float
    parity_within: float
    parity_required: bool


@dataclass(frozen=True)
class RoiPolicy:
    """The encodes to make, and what the candidate's map must buy in them."""

    encoder: str
    strength: float
    crf: tuple[int, ...]
    weights: str
    bdrate_allowance: float
    centre_margin: float
    vmaf_allowance: float


@dataclass(frozen=True)
class CostPolicy:
    """Allowed ratios of the candidate's cost to the incumbent's."""

    sizes: tuple[Size, ...]
    time_ratio: float
    memory_ratio: float


@dataclass(frozen=True)
class Profile:
    """On what to measure; only a `promotable` one can lead to a promotion.

    `pairs` counts a whole corpus; `clip_names` are the clips of the set `clips` that are measured, `frames` of each.
    """

    name: str
    promotable: bool
    accuracy: tuple[str, ...]
    clips: str
    clip_names: tuple[str, ...]
    frames: int
    rounds: int
    pairs: dict[str, int]


@dataclass(frozen=True)
class Policy:
    """Everything the gate decides by. `content` is what was read, after overrides; `file` held the overrides."""

    name: str
    statistics: Statistics
    contract: ContractPolicy
    accuracy: AccuracyPolicy
    feature: FeaturePolicy
    roi: RoiPolicy
    cost: CostPolicy
    profiles: dict[str, Profile]
    content: dict[str, Any] = field(repr=False, compare=False)
    file: Path | None = field(default=None, compare=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the policy's canonical JSON, lower hex."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    def profile(self, name: str) -> Profile:
        """A profile by name; `InputError` lists what the policy holds."""
        if name not in self.profiles:
            raise InputError(f"unknown profile {name!r} (allowed: {', '.join(self.profiles)})")
        return self.profiles[name]


def load_policy(override: Path | None = None) -> Policy:
    """The shipped policy, with what `override` (TOML) changes in it.

    >>> load_policy().accuracy.primary
    'iou_mean@0.5'
    """
    content = _read(DEFAULT)
    if override is not None:
        content = _merged(content, _read(override))
    return replace(policy_of(content, str(override or DEFAULT.name)), file=override)


def policy_of(content: dict[str, Any], origin: str = "policy") -> Policy:
    """A policy from its parsed content; `InputError` names the first key that the schema refuses."""
    try:
        jsonschema.validate(content, read_json(SCHEMA))
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path)) or "top level"
        raise InputError(f"{origin}: {place}: {error.message}") from error
    for name, profile in content["profiles"].items():
        uncounted = sorted(set(profile["accuracy"]) - set(profile["pairs"]))
        if uncounted:
            raise InputError(f"{origin}: profiles.{name}.pairs: no count for {uncounted[0]}")
    content = json.loads(json.dumps(content))  # the same whether it came from TOML or from a verdict
    return Policy(
        name=content["name"],
        statistics=Statistics(**content["statistics"]),
        contract=ContractPolicy(_sizes(content["contract"]["sizes"])),
        accuracy=AccuracyPolicy(**content["accuracy"]),
        feature=FeaturePolicy(**{**content["feature"], "crf": tuple(content["feature"]["crf"])}),
        roi=RoiPolicy(**{**content["roi"], "crf": tuple(content["roi"]["crf"])}),
        cost=CostPolicy(**{**content["cost"], "sizes": _sizes(content["cost"]["sizes"])}),
        profiles={
            name: Profile(
                name=name,
                **{**profile, "accuracy": tuple(profile["accuracy"]), "clip_names": tuple(profile["clip_names"])},
            )
            for name, profile in content["profiles"].items()
        },
        content=content,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read policy {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"policy {path} is not TOML: {error}") from error


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in change.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def _sizes(pairs: list[list[int]]) -> tuple[Size, ...]:
    return tuple((height, width) for height, width in pairs)
