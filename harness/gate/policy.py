"""The gate's rules as data: read from TOML, checked against a schema, hashed, frozen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import InputError
from harness.files import check_schema, read_toml
from harness.models.folders import model_folder
from harness.stats import Statistics

DEFAULT = Path(__file__).parent / "gate.toml"
SCHEMA = Path(__file__).parent / "policy.schema.json"
HEAD = ("schema_version", "name", "statistics", "power", "sequential", "signature", "groups", "profiles")

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Profile:
    """On what to measure; only a `promotable` one can lead to a promotion.

    `pairs` counts a whole corpus; `clip_names` are the clips of the set `clips` that are measured, `frames` of each, or
    up to so many where a clip's own end counts (`whole_clips`). ROI encodes `roi_frames` [default: the section's].
    """

    name: str
    promotable: bool
    accuracy: tuple[str, ...]
    clips: str
    clip_names: tuple[str, ...]
    frames: int
    rounds: int
    pairs: dict[str, int]
    roi_frames: int | None = None
    whole_clips: bool = False


@dataclass(frozen=True)
class Policy:
    """Everything the gate decides by: which groups of checks there are, and a section of settings for each.

    `content` is what was read, after overrides; `file` held the overrides. `one_sided` is for bounds on one side only.
    """

    name: str
    statistics: Statistics
    groups: tuple[str, ...]
    profiles: dict[str, Profile]
    content: dict[str, Any] = field(repr=False)
    one_sided: Statistics
    file: Path | None = field(default=None, compare=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the policy's canonical JSON, lower hex."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()

    def section(self, kind: type[Settings], group: str) -> Settings:
        """A group's settings, as its own frozen dataclass; `InputError` names a key that this has no field for."""
        fields = {key: _frozen(value) for key, value in self.content[group].items()}
        try:
            return kind(**fields)
        except TypeError as error:
            raise InputError(f"policy: {group}: {str(error).rpartition('() ')[2]}") from error

    def profile(self, name: str) -> Profile:
        """A profile by name; `InputError` lists what the policy holds."""
        if name not in self.profiles:
            raise InputError(f"unknown profile {name!r} (allowed: {', '.join(self.profiles)})")
        return self.profiles[name]


def load_policy(override: Path | None = None, models: Path | None = None) -> Policy:
    """The rules of a gate: the shipped ones, with what `gate.toml` in the model folder changes in them.

    Args:
        override: TOML with further changes; a verdict by these promotes nothing.
        models: The model folder [default: the project's].

    Returns:
        The policy, which names its groups of checks, their thresholds and the profiles to measure on.

    Raises:
        InputError: For a section that does not exist, and for the first key that the schema refuses.

    >>> load_policy().groups
    ('contract', 'accuracy', 'feature', 'roi', 'cost')
    """
    content, own = read_toml(DEFAULT), (models or model_folder()) / DEFAULT.name
    origin = DEFAULT.name
    for file in filter(None, (own if own.exists() else None, override)):
        change = read_toml(file)
        known = list(dict.fromkeys((*HEAD, *content, *change.get("groups", []))))
        if strange := [key for key in change if key not in known]:
            raise InputError(f"{file}: {strange[0]}: no such section (allowed: {', '.join(known)})")
        content, origin = _merged(content, change), str(file)
    return replace(policy_of(content, origin), file=override)


def policy_of(content: dict[str, Any], origin: str = "policy") -> Policy:
    """A policy from its parsed content; `InputError` names the first key that the schema refuses."""
    check_schema(content, SCHEMA, origin)
    if absent := [name for name in content["groups"] if name in HEAD or name not in content]:
        raise InputError(f"{origin}: groups names {absent[0]}, which has no section")
    for name, profile in content["profiles"].items():
        uncounted = sorted(set(profile["accuracy"]) - set(profile["pairs"]))
        if uncounted:
            raise InputError(f"{origin}: profiles.{name}.pairs: no count for {uncounted[0]}")
    content = json.loads(json.dumps(content))  # the same whether it came from TOML or from a verdict
    how = Statistics(**content["statistics"])
    return Policy(
        name=content["name"],
        statistics=how,
        one_sided=replace(how, level=2 * how.level - 1),
        groups=tuple(content["groups"]),
        profiles={
            name: Profile(name, **{key: _frozen(value) for key, value in profile.items()})
            for name, profile in content["profiles"].items()
        },
        content=content,
    )


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in change.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def _frozen(value: Any) -> Any:
    """Lists as tuples, to any depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
