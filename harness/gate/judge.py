"""From a policy and tables to a verdict, and nothing else: what was measured, by what and when, is in the tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Sequence

from corpora.manifest import known_digests, manifest_names
from harness.errors import InputError
from harness.gate.groups import find_group
from harness.gate.groups.base import DOUBTS, Question, Reading, Tables
from harness.gate.looks import look_of, refuse_bad_looks
from harness.gate.pair import PAIR, read_pair
from harness.gate.policy import Policy, Profile
from harness.gate.power import refuse_undecidable, rules_in
from harness.gate.rules import Rule, checks_of
from harness.gate.verdict import Measurement, TableRecord, Verdict
from harness.jobs.provenance import code_digest, commit
from harness.tables import Table, table_json

EXTRACTOR = "mobilesal"


def judge(policy: Policy, tables: Iterable[Table]) -> Verdict:
    """Hold what tables say of two models against a policy.

    Measures nothing and reads no file but the corpora's manifests: the same policy and tables give the same verdict, to
    the byte, whether a run of the gate has just written them, they are read again, or they are published ones.

    Args:
        policy: The rules.
        tables: What studies found, in any order, and one of kind `gate.pair`, which says who is compared and on which
            profile (`harness.gate.pair.pair_table`). What no rule asks for is left alone.

    Returns:
        A check for every rule. What no table answers is INCONCLUSIVE, with the reason.

    Raises:
        InputError: For tables without a pair, a profile or group that does not exist, and settings of the policy that
            mean nothing, such as a measure without a direction.
    """
    given = tuple(tables)
    pair = read_pair(given)
    question, found = pair.question(policy), Tables(given, pair.weights)
    whole = policy.profile(pair.profile)
    refuse_unknown(policy, whole)
    look = look_of(policy, whole, pair.look)
    measurements: list[Measurement] = []
    missing: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for name in policy.groups:
        reading = _read(name, question, found)
        measurements += reading.measurements
        missing |= reading.missing
        unavailable |= reading.unavailable
    rules = rules_of(policy, question.profile, unavailable)
    used = [*(table for table in given if table.kind in (PAIR, DOUBTS)), *found.used]
    return Verdict(
        extractor=EXTRACTOR,
        profile=question.profile.name,
        limits=(*pair.limits(question.profile), *_mixed(used), *_unpinned(used, question.profile)),
        incumbent=question.incumbent,
        candidate=question.candidate,
        policy={"name": policy.name, "sha256": policy.sha256, "content": policy.content},
        checks=checks_of(rules, measurements, question.policy.statistics.level, unavailable | missing, look),
        measurements=tuple(measurements),
        missing=unavailable | missing,
        inputs={name: digest for table in used for name, digest in sorted(table.data.items())},
        tables=tuple(_record(table) for table in used),
        code={"digest": judging_code(policy), "commit": commit()},
        versions={name: ", ".join(found) for name, found in _versions(used).items()},
        commands=tuple(dict.fromkeys(table.command for table in used)),
        look=look,
    )


def _read(name: str, question: Question, tables: Tables) -> Reading:
    """What a group reads; where it finds no such table, or a table without such columns, that is the reason."""
    try:
        return find_group(name).read(question, tables)
    except InputError as error:
        return Reading(missing={name: str(error)})
    except (KeyError, ValueError, TypeError) as error:
        return Reading(missing={name: f"a table does not hold what it should: {type(error).__name__} {error}"})


def rules_of(policy: Policy, profile: Profile, unavailable: Container[str] = ()) -> list[Rule]:
    """Every rule of every group, in the order of the policy; an optional one falls away where it is unavailable."""
    return [rule for rule in rules_in(policy, profile) if not (rule.optional and rule.key in unavailable)]


def refuse_unknown(policy: Policy, profile: Profile) -> None:
    """`InputError`, with what is allowed, for a group or setting that nothing here knows, or no data can decide."""
    for name in policy.groups:
        find_group(name).check(policy, profile)
    refuse_bad_looks(policy, profile)
    refuse_undecidable(policy, profile, rules_of(policy, profile))


def judging_code(policy: Policy) -> str:
    """A digest of the code that judges: this module's and that of every group of the policy."""
    modules = ("harness.gate.judge", *(f"harness.gate.groups.{name}" for name in policy.groups))
    return _digest([(name, code_digest(name)) for name in modules])


def table_digest(table: Table) -> str:
    """SHA-256 over everything that a table says but when it was written."""
    return _digest(table_json(table))


def _record(table: Table) -> TableRecord:
    return TableRecord(table.kind, table.name, table_digest(table), table.code.digest, table.code.commit)


def _versions(tables: Sequence[Table]) -> dict[str, list[str]]:
    """Every version of each library that measured a row."""
    found: dict[str, set[str]] = {}
    for table in tables:
        for name, version in table.code.versions.items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in sorted(found.items())}


def _mixed(tables: Sequence[Table]) -> list[str]:
    """Libraries of which several versions measured."""
    return [
        f"the tables were measured with different versions of {name}: {', '.join(versions)}"
        for name, versions in _versions(tables).items()
        if len(versions) > 1
    ]


def _unpinned(tables: Sequence[Table], profile: Profile) -> list[str]:
    """Data of no known edition, and what whoever measured found odd about it; a demo promotes nothing anyway."""
    read = {name: digest for table in tables for name, digest in table.data.items()}
    unknown = [name for name, digest in read.items() if digest not in _known(name)]
    if not unknown or not profile.promotable:
        return []
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    odd = [f"{row['data']}: {row['doubt']}" for table in tables if table.kind == DOUBTS for row in _records(table)]
    return [f"{unknown[0]}{more}: no known edition of the set, and only pinned data can promote", *odd]


def _known(name: str) -> set[str]:
    """The digests of the known editions of what a table calls by this name."""
    corpus = name.partition("/")[0]
    return known_digests(corpus).get(name, set()) if corpus in manifest_names() else set()


def _records(table: Table) -> list[dict[str, str]]:
    return [{str(key): str(value) for key, value in row.items()} for row in table.rows.to_dict(orient="records")]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
