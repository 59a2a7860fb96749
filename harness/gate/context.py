"""What every group of checks is given: the two models, the policy, where data lies and where evidence goes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.gate.policy import Policy, Profile
from harness.gate.verdict import Side
from harness.models.model_file import ModelFile
from harness.models.registry import Registry
from harness.models.session import SaliencyModel, load_model


@dataclass(frozen=True)
class Contender:
    """A model file with the hash that it has now; `registered` when it was asked for by its registry id."""

    file: ModelFile

    @classmethod
    def of(cls, asked: str, registry: Registry) -> Contender:
        """Find a registry id, `production` or a path; `InputError` when there is no such file."""
        found = cls(registry.find(asked))
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
        return self.file.name if self.registered else str(self.file.path)

    @property
    def side(self) -> Side:
        """What a verdict says of it."""
        return Side(self.file.name, self.sha256, self.file.path.name)

    def load(self, threads: int = 0) -> SaliencyModel:
        """Verify and open it; `InputError` when the extractor would refuse it."""
        return load_model(self.file, threads)


@dataclass(frozen=True)
class Context:
    """One run of the gate."""

    incumbent: Contender
    candidate: Contender
    policy: Policy
    profile: Profile
    out: Path
    root: Path | None = None
    registry: Registry = field(default_factory=Registry.read)
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
