"""What puts a model into production, and everything that must not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import HarnessError, InputError
from harness.files import read_json, write_json
from harness.gate import judge as judging
from harness.gate import kept
from harness.gate import promote as promoting
from harness.gate.evidence import keep_tables
from harness.gate.judge import judge
from harness.gate.policy import load_policy
from harness.gate.promote import begin, findings, in_production, promote, rollback
from harness.gate.recheck import Rechecked
from harness.gate.verdict import Decision, Verdict, digest_of, read_verdict, write_verdict
from harness.models.production import read_production
from harness.models.registry import find_model
from harness.tables import Table
from tests.helpers.commands import run
from tests.helpers.gate import POLICY, changed, pair_of, winning_tables
from tests.helpers.models import write_student
from tests.helpers.promotion import CODE, COMMIT, STUDY, decided, registry_of_three, side, student, tables_of, won


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree as it is when all of it is committed."""
    monkeypatch.setattr(judging, "commit", lambda: COMMIT)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Students a, b and c in a registry, a in production."""
    return registry_of_three(tmp_path / "model")


def refused(models: Path, verdict: Path, says: str, model: str = "b") -> None:
    before = (models / "production.json").read_bytes()
    with pytest.raises(HarnessError, match=says):
        promote(model, verdict, models)
    assert (models / "production.json").read_bytes() == before and not kept.any_in(models)


@pytest.mark.slow
def test_promotion_moves_the_pointer_and_rollback_moves_it_back(models: Path) -> None:
    verdict = won(models)
    pointer = promote("b", verdict, models)
    assert (pointer.id, pointer.verdict) == ("b", read_verdict(verdict).digest)
    assert find_model("production", models).name == "b"
    promote("c", won(models, "b", "c"), models)
    assert rollback(models).id == "b"
    assert rollback(models).id == "a"
    with pytest.raises(HarnessError, match="nothing to roll back to"):
        rollback(models)
    assert [act.act for act in read_production(models).acts] == ["promote", "promote", "rollback", "rollback"]
    assert [finding.problem for finding in findings(models)] == [None] * len(findings(models))


@pytest.mark.slow
def test_the_verdict_and_its_tables_are_kept_and_judged_again_by_verify(models: Path) -> None:
    pointer = promote("b", won(models), models)
    path = kept.place(models, str(pointer.verdict))
    assert read_verdict(path).digest == pointer.verdict
    shutil.rmtree(models.parent / "run")
    subjects = {finding.subject: finding.problem for finding in findings(models)}
    assert subjects[f"verdict {str(pointer.verdict)[:12]}…"] is None
    assert run("registry", "verify", "--models", models).exit_code == 0


def edit_verdict(models: Path, digest: str) -> None:
    path = kept.place(models, digest)
    content = read_json(path)
    content["measurements"][0]["note"] = "better"
    content["digest"] = digest_of(content)
    write_json(path, content)


def edit_table(models: Path, digest: str) -> None:
    folder = kept.place(models, digest).parent / "evidence"
    tables = changed(tables_of(models, "a", "b"), "cost.memory", lambda rows: rows.assign(peak_bytes=7))
    keep_tables([table for table in tables if table.kind == "cost.memory"], folder)


def remove_verdict(models: Path, digest: str) -> None:
    shutil.rmtree(kept.place(models, digest).parent)


def remove_production(models: Path, digest: str) -> None:
    (models / "production.json").unlink()


def edit_production(models: Path, digest: str) -> None:
    content = read_json(models / "production.json")
    content["history"][0]["id"] = content["mobilesal"]["id"] = "c"
    write_json(models / "production.json", content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (edit_verdict, "the verdict on record is about b, not what production.json says of b"),
        (edit_table, "its tables are not those that it was decided on"),
        (remove_verdict, r"cannot read .*verdict\.json"),
        (remove_production, "is gone, but verdicts are on record"),
        (edit_production, "was changed by hand"),
    ],
)
def test_verify_checks_the_whole_chain(models: Path, attack: Callable[[Path, str], None], says: str) -> None:
    pointer = promote("b", won(models), models)
    attack(models, str(pointer.verdict))
    problems = [finding.problem for finding in findings(models) if finding.problem]
    assert len(problems) == 1
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(problems[0])
    assert isinstance(run("registry", "verify", "--models", models).exception, HarnessError)


def test_a_hand_edited_production_file_is_refused_by_everything_that_asks_it(models: Path) -> None:
    content = read_json(models / "production.json")
    content["mobilesal"]["id"] = content["first"]["id"] = "c"
    write_json(models / "production.json", content)
    for ask in (lambda: in_production(models), lambda: find_model("production", models), lambda: begin("b", models)):
        with pytest.raises(InputError, match="was changed by hand"):
            ask()


def test_without_anything_in_production_nothing_promotes(models: Path) -> None:
    verdict = won(models)
    (models / "production.json").unlink()
    with pytest.raises(HarnessError, match="nothing is in production: name the model that is"):
        promote("b", verdict, models)
    assert not (models / "production.json").exists()


def test_begin_works_once_on_a_registry_without_production(models: Path) -> None:
    for model in ("a", "b"):
        with pytest.raises(HarnessError, match="a is in production: from here on only a verdict"):
            begin(model, models)
    (models / "production.json").unlink()
    with pytest.raises(InputError, match=r"z is not in the registry \(allowed: a, b, c"):
        begin("z", models)
    student(models, "toy", 9.0, smoke=True)
    with pytest.raises(InputError, match="toy is for smoke tests"):
        begin("toy", models)
    assert begin("b", models) == in_production(models)


@pytest.mark.slow
def test_begin_is_over_where_verdicts_are_on_record_though_the_file_is_gone(models: Path) -> None:
    promote("b", won(models), models)
    (models / "production.json").unlink()
    with pytest.raises(HarnessError, match=r"production\.json is gone, but verdicts are on record: restore it"):
        begin("c", models)


@pytest.mark.slow
def test_a_toy_registered_over_what_is_in_production_is_refused(models: Path) -> None:
    before = (models / "tiny" / "a.onnx").read_bytes()
    with pytest.raises(InputError, match="a is or was in production, and its file stays"):
        student(models, "a", 7.0)
    assert (models / "tiny" / "a.onnx").read_bytes() == before and find_model("production", models).name == "a"
    student(models, "a", 1.0)  # the same bytes
    promote("b", won(models), models)
    rollback(models)
    with pytest.raises(InputError, match="b is or was in production"):
        student(models, "b", 7.0)
    student(models, "c", 7.0)


@pytest.mark.slow
def test_each_verdict_is_used_once_even_after_a_rollback(models: Path) -> None:
    verdict = won(models)
    promote("b", verdict, models)
    rollback(models)
    with pytest.raises(HarnessError, match=r"promoted already \(allowed: each verdict once"):
        promote("b", verdict, models)
    assert in_production(models) is not None and find_model("production", models).name == "a"


@pytest.mark.slow
def test_what_is_not_promote_is_refused(models: Path) -> None:
    tables = [table for table in tables_of(models, "a", "b") if table.kind != "cost.memory"]
    refused(models, decided(models, tables), "says INCONCLUSIVE")


@pytest.mark.slow
def test_a_limited_verdict_is_refused(models: Path) -> None:
    a, b = side(models, "a"), side(models, "b")
    for pair, says in (
        (pair_of(a, b, registered=False), "given as a path"),
        (pair_of(a, b, profile="demo"), "says INCONCLUSIVE|generated pictures"),
    ):
        refused(models, decided(models, winning_tables(pair, code=CODE)), says)


@pytest.mark.slow
def test_a_smoke_model_is_never_promoted_whatever_the_verdict_says(models: Path) -> None:
    student(models, "toy", 9.0, smoke=True)
    pair = pair_of(side(models, "a"), side(models, "toy"))
    known = replace(pair, candidate=replace(pair.candidate, smoke=True))
    refused(models, decided(models, winning_tables(known, code=CODE)), "toy is for smoke tests", model="toy")
    refused(models, decided(models, winning_tables(pair, code=CODE)), "toy is for smoke tests", model="toy")


@pytest.mark.slow
def test_pictures_of_no_known_edition_promote_nothing(models: Path) -> None:
    tables = [replace(table, data=dict.fromkeys(table.data, "f" * 64)) for table in tables_of(models, "a", "b")]
    verdict = read_verdict(decided(models, tables))
    assert verdict.decision is Decision.PROMOTE and not verdict.promotable
    refused(models, decided(models, tables), r"and 21 more: no known edition of the set, and only pinned data")


def rewritten(path: Path, change: Callable[[dict], None]) -> Path:
    """A verdict changed by someone who knows how its digest is made."""
    content = read_json(path)
    change(content)
    content["digest"] = digest_of(content)
    write_json(path, content)
    return path


def flatter(content: dict) -> None:
    content["checks"][5]["low"] = content["measurements"][5]["low"] = 0.4


def swap(content: dict) -> None:
    content["candidate"] = {**content["candidate"], "sha256": "e" * 64}


def unlimit(content: dict) -> None:
    content["limits"] = []


@pytest.mark.slow
@pytest.mark.parametrize(("change", "says"), [(flatter, "checks"), (swap, "candidate")])
def test_an_edited_verdict_whose_digest_was_redone_does_not_follow_from_its_tables(
    models: Path, change: Callable[[dict], None], says: str
) -> None:
    refused(models, rewritten(won(models), change), rf"does not follow from the tables in .*evidence: {says}")


@pytest.mark.slow
def test_a_verdict_whose_limits_were_cut_does_not_follow_from_its_tables(models: Path) -> None:
    tables = winning_tables(pair_of(side(models, "a"), side(models, "b"), registered=False), code=CODE)
    refused(
        models, rewritten(decided(models, tables), unlimit), "does not follow from the tables in .*evidence: limits"
    )


def test_a_verdict_written_by_hand_without_tables_is_refused(models: Path) -> None:
    path = won(models)
    shutil.rmtree(path.parent / "evidence")
    refused(models, path, "no such folder of tables")


@pytest.mark.slow
def test_a_table_that_was_edited_and_digested_again_is_not_the_verdicts(models: Path) -> None:
    path = won(models)

    def flattered(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{"gain_%": rows["gain_%"] + 99.0 * (rows["arm"] == "b")})

    better = changed(tables_of(models, "a", "b"), "roi.at_cost_by_clip", flattered)
    keep_tables(better, path.parent / "evidence")
    refused(models, path, "does not follow from the tables in")


@pytest.mark.slow
def test_tables_of_other_code_or_of_a_changed_tree_are_stale(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = tables_of(models, "a", "b", replace(CODE, digest="0" * 64))
    refused(models, decided(models, older), rf"is stale: other code measured .* \({STUDY}; gate again\)")
    dirty = tables_of(models, "a", "b", replace(CODE, commit=f"{COMMIT}+"))
    refused(models, decided(models, dirty), "was measured by code that differs from commit cccccccccccc")
    monkeypatch.setattr(judging, "commit", lambda: f"{COMMIT}+")
    refused(models, won(models), "was judged by code that differs from commit")


@pytest.mark.slow
def test_a_verdict_by_an_older_judge_is_stale(models: Path) -> None:
    def age(content: dict) -> None:
        content["code"]["digest"] = "0" * 64

    refused(models, rewritten(won(models), age), "is stale: other code judged it")


@pytest.mark.slow
def test_a_lax_policy_promotes_nothing_and_the_registrys_own_counts(models: Path, tmp_path: Path) -> None:
    (tmp_path / "lax.toml").write_text("[cost]\ntime_ratio = 9.0\n[profiles.demo]\npromotable = true\n")
    path = won(models)
    tables = keep_tables(tables_of(models, "a", "b"), path.parent / "evidence")
    write_verdict(judge(load_policy(tmp_path / "lax.toml"), tables), path)
    refused(models, path, "is stale: its policy is not the registry's")
    assert "No such option" in run("registry", "promote", "b", "--verdict", path, "--policy", "x.toml").output
    shutil.copy(tmp_path / "lax.toml", models / "gate.toml")
    pointer = promote("b", path, models)
    assert read_production(models).acts[0].policy == load_policy(models=models).sha256 != POLICY.sha256
    (models / "gate.toml").unlink()
    assert not [finding.problem for finding in findings(models) if finding.problem], pointer


@pytest.mark.slow
def test_another_model_another_incumbent_or_a_changed_file_is_refused(models: Path) -> None:
    refused(models, won(models), "is about b, not c", model="c")
    refused(models, won(models, "c", "b"), "is stale: it compares with c, in production is a")
    verdict = won(models)
    write_student(models / "tiny" / "b.onnx", 9.0)
    refused(models, verdict, "b has changed")


@pytest.mark.slow
def test_weights_registered_anew_since_the_verdict_are_refused(models: Path) -> None:
    verdict = won(models)
    student(models, "b", 9.0)
    refused(models, verdict, "b has changed since .*: the verdict is about other weights")


@pytest.mark.slow
def test_rollback_refuses_a_model_that_changed_since(models: Path) -> None:
    promote("b", won(models), models)
    write_student(models / "tiny" / "a.onnx", 9.0)
    with pytest.raises(HarnessError, match="a has changed"):
        rollback(models)


def promoted(models: Path, verdict: Path, name: str) -> str:
    """What a process that promotes has to say."""
    judging.commit = lambda: COMMIT  # type: ignore[assignment]
    try:
        return promote(name, verdict, models).id
    except HarnessError as error:
        return str(error)


@pytest.mark.slow
def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(models: Path) -> None:
    verdicts = {name: won(models, "a", name, out=name) for name in "bc"}
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        said = list(pool.map(promoted, [models] * 2, verdicts.values(), verdicts))
    (lost,) = (text for text in said if text not in verdicts)
    assert "is stale: it compares with a, in production is" in lost
    assert len(read_production(models).acts) == 1


def test_a_verdict_is_not_one_of_the_previous_format(models: Path) -> None:
    content = read_json(won(models))
    content["schema_version"] = 1
    path = models.parent / "old.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not a verdict: schema_version: 2 was expected"):
        promote("b", path, models)


@pytest.mark.slow
def test_the_kept_verdict_is_the_one_that_was_given(models: Path) -> None:
    path = won(models)
    pointer = promote("b", path, models)
    again, tables = kept.recall(models, str(pointer.verdict))
    assert isinstance(again, Verdict) and asdict(again) == asdict(read_verdict(path))
    assert {table.kind for table in tables} == {one.kind for one in again.tables}


def test_a_lock_that_is_a_link_leads_nowhere(models: Path, tmp_path: Path) -> None:
    """The lock is emptied and written to: through a link that would be somebody's file."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (models / ".lock").unlink(missing_ok=True)
    (models / ".lock").symlink_to(precious)
    with pytest.raises(InputError, match="cannot write"):
        promote("b", tmp_path / "verdict.json", models)
    assert precious.read_text() == "mine"


@pytest.mark.slow
def test_what_is_measured_again_is_what_was_judged_and_not_what_lies_there_by_then(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Honest tables that are put in place of the judged ones, once those were read, prove nothing of them."""
    verdict, real = won(models), promoting.recheck_tables

    def swapped(found: Verdict, tables: list[Table], file: Path, count: int, **more: Path) -> list[Rechecked]:
        shutil.rmtree(file.parent)
        return real(found, tables, file, count, **more)

    monkeypatch.setattr(promoting, "recheck_tables", swapped)
    with pytest.raises(InputError, match="the rows of its pictures are not beside it"):  # these tables have none
        promote("b", verdict, models, again=2)
    assert not kept.any_in(models)
