"""A model's numbers over the verdicts about it: what was found when, against whom, by which policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.gate.text import value_text
from harness.gate.verdict import Check, Outcome, Verdict, read_verdict
from harness.pages.figures import save_figure

FOLDERS = (Path("results/gate"), Path("runs/gate"))
FILE = "verdict.json"
PLOTS = (".png", ".svg", ".pdf")
COLOURS = {Outcome.PASS: "#1a7f37", Outcome.FAIL: "#c62828", Outcome.INCONCLUSIVE: "#9a6700"}  # as in the report


@dataclass(frozen=True)
class History:
    """Verdicts about one candidate, the oldest first, with their files; `unread` says why others were passed over.

    `patterns` choose checks by name or key; without any, the primary ones are chosen.
    """

    verdicts: tuple[tuple[Path, Verdict], ...]
    patterns: tuple[str, ...]
    unread: tuple[str, ...]

    def checks(self, verdict: Verdict) -> list[Check]:
        """Those of a verdict's checks that were asked for."""
        return [check for check in verdict.checks if self._wanted(check)]

    def rows(self) -> pd.DataFrame:
        """A row a verdict: date, weights, against, policy, decision, and a column for every check asked for."""
        columns = {check.key: check.name for _, verdict in self.verdicts for check in self.checks(verdict)}
        names = list(columns.values())
        titles = {key: key if names.count(name) > 1 else name for key, name in columns.items()}
        found = []
        for _, verdict in self.verdicts:
            by_key = {check.key: check for check in self.checks(verdict)}
            own = {"date": verdict.created[:16].replace("T", " ") or "–", "weights": verdict.candidate.sha256[:8]}
            own |= {"against": verdict.incumbent.id, "policy": str(verdict.policy["name"])}
            own |= {"decision": str(verdict.decision)}
            found.append(own | {title: value_text(by_key.get(key)) for key, title in titles.items()})
        return pd.DataFrame(found)

    def as_json(self) -> list[dict[str, Any]]:
        """The same for scripts: the numbers of each check as the verdict has them, and where it lies."""
        return [
            {
                "path": str(path),
                "date": verdict.created,
                "digest": verdict.digest,
                "candidate": asdict(verdict.candidate),
                "incumbent": asdict(verdict.incumbent),
                "policy": {key: verdict.policy[key] for key in ("name", "sha256")},
                "profile": verdict.profile,
                "decision": str(verdict.decision),
                "checks": [asdict(check) for check in self.checks(verdict)],
            }
            for path, verdict in self.verdicts
        ]

    def draw(self, path: Path) -> None:
        """A panel a check: its value and interval in each verdict, its threshold dashed; PNG, SVG or PDF by `path`.

        Raises:
            InputError: For another suffix, and where no verdict has a number for what was asked.
        """
        from matplotlib.figure import Figure

        if path.suffix.lower() not in PLOTS:
            raise InputError(f"{path}: no such picture (allowed: {', '.join(PLOTS)})")
        found = dict[str, list[tuple[int, Check]]]()
        for place, (_, verdict) in enumerate(self.verdicts):
            for check in self.checks(verdict):
                if check.value is not None:
                    found.setdefault(check.key, []).append((place, check))
        if not found:
            raise InputError("no verdict has a number for these checks (allowed: --check with others)")
        figure = Figure(figsize=(8, 1 + 1.8 * len(found)), layout="constrained")
        panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
        for panel, points in zip(panels, found.values(), strict=True):
            for place, check in points:
                low, high = (check.value if bound is None else bound for bound in (check.low, check.high))
                panel.vlines(place, low, high, color=COLOURS[check.outcome], linewidth=2)
                panel.plot([place], [check.value], "o", color=COLOURS[check.outcome])
                panel.hlines(check.threshold, place - 0.4, place + 0.4, color="0.5", linestyle="--", linewidth=1)
            panel.set_title(points[-1][1].name, loc="left", fontsize="medium")
        labels = [f"{verdict.created[:10] or '–'}\n{verdict.incumbent.id}" for _, verdict in self.verdicts]
        panels[-1].set_xticks(range(len(labels)), labels)
        panels[-1].set_xlim(-0.5, len(labels) - 0.5)
        figure.suptitle(f"{self.verdicts[0][1].candidate.id}: gains over each incumbent", fontsize="large")
        save_figure(figure, path)

    def _wanted(self, check: Check) -> bool:
        if not self.patterns:
            return check.primary
        return any(fnmatchcase(name, pattern) for pattern in self.patterns for name in (check.name, check.key))


def history_of(model: str, folders: Sequence[Path] | None = None, patterns: Iterable[str] = ()) -> History:
    """Every verdict about a candidate.

    Args:
        model: The candidate, as verdicts call it: its registry id, or the stem of its file.
        folders: Where to look, all folders inside too [default: those of `FOLDERS` that exist].
        patterns: Which checks to show, by name or key, with `*` for any letters [default: the primary ones].

    Returns:
        What was found; a verdict of which there are copies is there once.

    Raises:
        InputError: For a folder that does not exist, a model that no verdict is about, a pattern that fits no check.
    """
    places = [Path(folder) for folder in folders or FOLDERS]
    if folders and (absent := [place for place in places if not place.is_dir()]):
        raise InputError(f"{absent[0]}: no such folder (allowed: folders in which verdicts lie)")
    found: dict[str, tuple[Path, Verdict]] = {}
    unread, others = [], set()
    for path in sorted({path for place in places for path in place.rglob(FILE)}):
        try:
            verdict = read_verdict(path)
        except InputError as error:
            unread.append(str(error))
            continue
        others.add(verdict.candidate.id)
        if verdict.candidate.id == model:
            found.setdefault(f"{verdict.digest} {verdict.created}", (path, verdict))
    if not found:
        known = ", ".join(sorted(others)) or "none that can be read"
        passed = f"; {len(unread)} cannot be read: {unread[0]}" if unread else ""
        raise InputError(
            f"no verdict about {model} in {', '.join(map(str, places))} (verdicts are about: {known}{passed})"
        )
    history = History(tuple(sorted(found.values(), key=lambda one: one[1].created)), tuple(patterns), tuple(unread))
    for pattern in history.patterns:
        if not any(History(history.verdicts, (pattern,), ()).checks(verdict) for _, verdict in history.verdicts):
            keys = sorted({check.key for _, verdict in history.verdicts for check in verdict.checks})
            raise InputError(f"no check {pattern!r} (allowed: a name or key, or a pattern of {', '.join(keys)})")
    return history
