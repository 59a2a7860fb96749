"""What fails where `--keep-going` finishes the rest: said at once, and the exit code at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import typer

from harness.cli.output import say


@dataclass
class Failures:
    """Names of what failed, with the reasons; `hear` is None where the first failure is to end the run."""

    going_on: bool
    found: dict[str, str] = field(default_factory=dict)

    @property
    def hear(self) -> Failures | None:
        """What a study tells of failures, if it is to go on after one."""
        return self if self.going_on else None

    def __call__(self, name: str, reason: str) -> None:
        """One more failed."""
        self.found[name] = reason
        say(f"harness: {name} is left out: {' '.join(reason.split())}", to_stderr=True)

    def leave(self) -> None:
        """End the command with exit code 1 if anything failed."""
        if self.found:
            say(f"harness: {len(self.found)} left out, all else is finished", to_stderr=True)
            raise typer.Exit(1)
