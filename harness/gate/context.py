"""What a run of the gate works with: the two models, the policy, where data lies and where evidence goes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.gate.groups.base import Question
from harness.gate.pair import ROLES, Entrant, Pair
from harness.gate.policy import Policy, Profile
from harness.gate.verdict import Side
from harness.models.model_file import ModelFile
from harness.models.registry import Registry
from harness.models.session import SaliencyModel, load_model


@dataclass(frozen=True)
class Contender:
    """A model file with the hash that it has now; `registered` when it was asked for by its registry id."""

    file: ModelFile
    smoke: bool = False

    @classmethod
    def of(cls, asked: str, registry: Registry) -> Contender:
        """Find a registry id, `production` or a path; `InputError` when there is no such file."""
        file = registry.find(asked)
        found = cls(file, any(entry["sha256"] == file.sha256 and entry.get("smoke") for entry in registry.models))
        _ = found.sha256  # now, once for the whole run
        return found

    @property
    def sha256(self) -> str:
        return self.file.sha256

    @property
    def registered(self) -> bool:
        return self.file.registered is not None

    @property
    def asked(self) -> str:
        """How a command names it: the registry id, else the path."""
        return self.file.asked

    def load(self, threads: int = 0) -> SaliencyModel:
        """Verify and open it; `InputError` when the extractor would refuse it."""
        return load_model(self.file, threads)


@dataclass(frozen=True)
class Context:
    """One run of the gate."""

    incumbent: Contender
    candidate: Contender
    policy: Policy
    profile: Profile  # all of it; what a look is over is in `question`
    out: Path
    root: Path | None = None
    registry: Registry = field(default_factory=Registry.read)
    workers: int = 1
    look: int | None = None
    executor: str | None = None
    """Where jobs run, in place of `workers` here."""
    announce: Callable[[str], None] = field(default=print, repr=False)
    progress: Callable[[str, int, int], None] | None = field(default=None, repr=False)
    looked_up: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Sets that were found and read once for the whole run, by their name."""

    @property
    def evidence(self) -> Path:
        """Where tables go."""
        return self.out / "evidence"

    @property
    def files(self) -> tuple[ModelFile, ModelFile]:
        """Both files under the names that tables have for them, incumbent first."""
        old, new = self.question.names
        return self.incumbent.file.renamed(old), self.candidate.file.renamed(new)

    @property
    def asked(self) -> tuple[str, str]:
        """How a command names the two, incumbent first."""
        return self.incumbent.asked, self.candidate.asked

    @property
    def pair(self) -> Pair:
        """The two as tables say it."""
        return replace(pair_of(self.incumbent, self.candidate, self.profile.name), look=self.look)

    @property
    def question(self) -> Question:
        """What the groups are asked."""
        return self.pair.question(self.policy)

    @property
    def command(self) -> str:
        """The command line that repeats this run, with all that decides its numbers."""
        words = ["harness", "gate", "--incumbent", self.incumbent.asked, "--candidate", self.candidate.asked]
        words += ["--profile", self.profile.name, *_option("--policy", self.policy.file)]
        return shlex.join([*words, *_option("--root", self.root), "--out", str(self.out)])

    @property
    def corpora(self) -> Path:
        """Where generated corpora go."""
        return self.out / "corpora"


def pair_of(incumbent: Contender, candidate: Contender, profile: str) -> Pair:
    """Two models as a table of a pair says it: by their names, or by their roles where both have one name."""
    both = incumbent, candidate
    names = [one.file.name for one in both]
    if names[0] == names[1]:
        names = list(ROLES)
    entrants = [
        Entrant(name, Side(one.file.name, one.sha256, one.file.path.name), one.registered, one.smoke)
        for name, one in zip(names, both, strict=True)
    ]
    return Pair(entrants[0], entrants[1], profile)


def _option(name: str, value: Path | None) -> list[str]:
    return [] if value is None else [name, str(value)]
