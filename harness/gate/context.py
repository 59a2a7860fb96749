"""What every group of checks is given: the two models, the policy, where data lies and where evidence goes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.files import sha256_of
from harness.gate.policy import Policy, Profile
from harness.gate.verdict import Side
from harness.models.registry import ModelFile, find_model
from harness.models.session import SaliencyModel


@dataclass(frozen=True)
class Contender:
    """A model file with the hash that it has now; `registered` when it was asked for by its registry id."""

    file: ModelFile
    sha256: str

    @classmethod
    def of(cls, asked: str, models: Path | None = None) -> Contender:
        """Find a registry id, `production` or a path; `InputError` when there is no such file."""
        file = find_model(asked, models)
        return cls(file, sha256_of(file.path))

    @property
    def registered(self) -> bool:
        return self.file.sha256 is not None

    @property
    def asked(self) -> str:
        """How a command names it: the registry id, else the path."""
        return self.file.name if self.registered else str(self.file.path)

    @property
    def side(self) -> Side:
        """What a verdict says of it."""
        return Side(self.file.name, self.sha256, self.file.path.name)

    def load(self, threads: int | None = None) -> SaliencyModel:
        """Verify and open it; `InputError` when the extractor would refuse it."""
        return SaliencyModel.load(self.file.path, self.file.name, self.file.sha256, threads)


@dataclass(frozen=True)
class Context:
    """One run of the gate."""

    incumbent: Contender
    candidate: Contender
    policy: Policy
    profile: Profile
    out: Path
    root: Path | None = None
    models: Path | None = None
    workers: int = 1
    announce: Callable[[str], None] = field(default=print, repr=False)

    @property
    def pair(self) -> tuple[Contender, Contender]:
        """Incumbent, candidate."""
        return self.incumbent, self.candidate

    @property
    def command(self) -> str:
        """The command line that repeats this run, with all that decides its numbers."""
        words = ["harness", "gate", "--incumbent", self.incumbent.asked, "--candidate", self.candidate.asked]
        words += ["--profile", self.profile.name, *_option("--policy", self.policy.file)]
        return shlex.join([*words, *_option("--root", self.root), "--out", str(self.out)])

    def root_option(self, generated: bool) -> list[str]:
        """`--root FOLDER` of the corpora: where generated ones were put, else as it was given, if it was."""
        return _option("--root", self.corpora if generated else self.root)

    @property
    def corpora(self) -> Path:
        """Where generated corpora go."""
        return self.out / "corpora"


def _option(name: str, value: Path | None) -> list[str]:
    return [] if value is None else [name, str(value)]
