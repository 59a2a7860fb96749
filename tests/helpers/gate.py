"""Measurements and tables for the gate: a candidate that wins everything by a margin."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corpora.manifest import known_digests
from harness.gate.groups import accuracy, contract, cost, feature, roi
from harness.gate.groups.base import Question, Wanted
from harness.gate.pair import Entrant, Pair, pair_table
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement, Side
from harness.metrics import metric
from harness.models.registry import entry_for, register, sidecar_for
from harness.models.sources import CENTRE_PRIOR
from harness.studies.cost import label
from harness.studies.roi.budgets import Budget
from harness.studies.roi.plan import PLAIN
from harness.tables import Code, Table
from tests.helpers.models import write_student

POLICY = load_policy()
OLD, NEW = Side("old", "a" * 64, "old.onnx"), Side("new", "b" * 64, "new.onnx")


def with_policy(**sections: dict[str, object]) -> Policy:
    """The shipped rules with some changed."""
    content = json.loads(json.dumps(POLICY.content))
    for name, change in sections.items():
        content[name] |= change
    if sections.keys() & {"accuracy", "profiles", "roi"}:
        del content["power"]  # what data can show was foreseen for the shipped ones
    return policy_of(content)


def tiny_policy(**roi: object) -> Policy:
    """The shipped rules on four generated pictures and two clips of three frames, with some of `roi` changed."""
    content = json.loads(json.dumps(POLICY.content))
    content["contract"]["sizes"] = content["cost"]["sizes"] = [[32, 48]]
    content["feature"]["crf"] = [33]
    content["roi"] |= roi
    demo = {"clip_names": ["00-still", "01-pan"], "frames": 3, "rounds": 3, "pairs": {"synth": 4}}
    content["profiles"]["demo"] |= demo
    return policy_of(content)


def two_students(root: Path) -> Path:
    """A model folder with the students `old` and `new` in its registry."""
    models = root / "model"
    for name, gain in (("old", 1.0), ("new", 2.0)):
        path = write_student(root / f"{name}.onnx", gain)
        entry = entry_for(name, path, "A test student.", "One layer.")
        register(entry, sidecar_for(entry, {}), path, models)
    return models


def winning(rule: Rule) -> Measurement:
    """A measurement that passes the rule with room to spare."""
    if rule.kind is Kind.FACT:
        return Measurement(rule.key, 1.0, count=rule.whole)
    value = rule.threshold + (-0.5 if rule.kind is Kind.AT_MOST else 0.5)
    return Measurement(rule.key, value, value - 0.1, value + 0.1, 1e-4, rule.threshold, rule.whole)


def pair_of(old: Side = OLD, new: Side = NEW, profile: str = "full", registered: bool = True) -> Pair:
    """Two models as a run of the gate would name them."""
    return Pair(Entrant(old.id, old, True), Entrant(new.id, new, registered), profile)


def winning_tables(pair: Pair | None = None, policy: Policy = POLICY, code: Code = Code()) -> list[Table]:
    """Everything that the policy's groups want of a pair, and in all of it the candidate wins."""
    pair = pair or pair_of()
    question = pair.question(policy)
    rows = {
        **{want.kind: (want, _facts(question)) for want in contract.wanted(question)},
        **{f"{want.kind} {want.data}": (want, _paired(question, want)) for want in accuracy.wanted(question)},
        **{want.kind: (want, _feature(question, want)) for want in feature.wanted(question)},
        **{want.kind: (want, _roi(question, want)) for want in roi.wanted(question)},
        **{want.kind: (want, _cost(question, want)) for want in cost.wanted(question)},
    }
    tables = [_table(pair, want, found, code) for want, found in rows.values()]
    return [pair_table(pair, f"harness gate --candidate {pair.candidate.name}"), *tables]


def changed(tables: Iterable[Table], kind: str, rows: Any) -> list[Table]:
    """The tables with the rows of one kind as `rows(old rows)` has them; None leaves it out."""
    found = []
    for table in tables:
        if table.kind != kind:
            found.append(table)
        elif (new := rows(table.rows.copy())) is not None:
            found.append(replace(table, rows=new))
    return found


def _table(pair: Pair, want: Wanted, rows: pd.DataFrame, code: Code) -> Table:
    pinned = {name: min(known) for name, known in known_digests(want.data).items()} if want.data else {}
    data = pinned or ({want.data: "d" * 64} if want.data else {})
    settings = dict(want.settings)
    if want.kind == feature.NATIVE:
        settings |= {"native": "vmaf-cli", "reason": "asked for"}
    name = f"{want.kind}-{want.data}" if want.data else want.kind
    models = {model: pair.weights[model] for model in want.models}
    return Table(want.kind, name, want.kind, rows, "harness gate", models, data, code, settings)


def _facts(question: Question) -> pd.DataFrame:
    return pd.DataFrame([{"model": question.new, "fact": name, "held": "yes", "note": ""} for name in contract.FACTS])


def _paired(question: Question, want: Wanted) -> pd.DataFrame:
    rows = []
    images = question.profile.pairs[want.data]
    for measure in accuracy.Settings.of(question.policy).measures:
        gain = metric(measure).sign * 0.05
        rows.append(
            {"split": want.data, **want.rows, "model": question.new, "against": question.old, "measure": measure}
            | {"images": images, "defined": images, "difference": gain, "low": gain - 0.01, "high": gain + 0.01}
            | {"p_value": 2e-4, "win_rate": 0.8}
        )
    return pd.DataFrame(rows)


def _feature(question: Question, want: Wanted) -> pd.DataFrame:
    if want.kind == feature.NATIVE:
        row = {"clip": want.settings["clips"][0], "model": question.new, "frames": want.settings["frames"]}
        return pd.DataFrame([{**row, "max_abs_diff": 2e-7}])
    rows = []
    versions = {"source": 1.0, **{f"crf {crf}": 0.99 for crf in want.settings["crfs"]}}
    for place, clip in enumerate(want.settings["clips"]):
        for (version, share), (model, loss) in itertools.product(
            versions.items(), zip(question.names, (8, 1), strict=True)
        ):
            drifted = 1 - loss * (1 - share)
            value = 0.1 * (place + 1) * drifted
            rows.append({"clip": clip, "version": version, "frames": 10, "model": model, "saliency_mean": value})
    return pd.DataFrame(rows)


def _roi(question: Question, want: Wanted) -> pd.DataFrame:
    arms = {PLAIN: 0.0, question.new: 20.0, question.old: 10.0, CENTRE_PRIOR: 5.0}
    rows: list[dict[str, Any]] = []
    for number, (clip, (arm, gain)) in enumerate(itertools.product(want.rows["clip"], arms.items())):
        law = want.rows["law"] if arm in question.names else "map"
        own = {"clip": clip, "encoder": want.rows["encoder"], "arm": arm, "law": law}
        if want.kind == roi.GAINS:
            for text in want.rows["budgets"] if arm != PLAIN else ():
                budget = Budget.parse(text)
                found = {"cost": budget.metric, "budget_%": budget.percent, "strength": 3.0}
                rows.append({**own, **found, "gain_%": gain + 0.1 * (number % 3)})
            continue
        for crf in want.settings["crfs"]:
            size = int(100_000 * 2 ** (-crf / 6)) + len(rows)
            rows.append(
                {**own, "crf": crf, "steered": arm != PLAIN, "bytes": size}
                | {"strength": np.nan if arm == PLAIN else 3.0, "kbps": size / 100, "psnr_y@mask": 50 - crf / 2}
            )
    return pd.DataFrame(rows)


def _cost(question: Question, want: Wanted) -> pd.DataFrame:
    if want.kind == cost.MEMORY:
        size = label(want.settings["size"])
        return pd.DataFrame([{"size": size, "model": name, "peak_bytes": 10**8} for name in question.names])
    rounds = range(want.settings["rounds"])
    return pd.DataFrame(
        [
            {"size": label(size), "round": number, "model": name, "seconds": 0.1 + 0.001 * number}
            for size, number, name in itertools.product(want.settings["sizes"], rounds, question.names)
        ]
    )
