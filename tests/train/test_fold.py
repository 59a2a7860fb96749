"""A validation says on which fold it is, and refuses one that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora.loader import Pair, listing_digest
from harness.errors import InputError
from harness.files import write_json
from harness.models.session import SaliencyModel, load_model
from tests.helpers.models import write_student
from tests.helpers.runs import about
from train.data import validation_split
from train.fold import fold_digest, refuse_trained_on

WHOLE = 10_553  # pairs of DUTS-TR


def pairs_of(tmp_path: Path, count: int, without: int | None = None) -> list[Pair]:
    """So many pairs, by name; they share their files."""
    file = tmp_path / "file.png"
    file.write_bytes(b"pixels")
    return [Pair(f"{number:05}", file, file) for number in range(count) if number != without]


def trained(tmp_path: Path, **training: object) -> SaliencyModel:
    path = write_student(tmp_path / "student.onnx")
    if training:
        write_json(path.with_suffix(".json"), {"training": {"dataset": "DUTS-TR", **training}})
    return load_model(path)


def test_a_file_less_is_another_fold() -> None:
    """As measured: of the fold of 10,552 pairs 411 were trained on when there were 10,553."""
    names = list(range(WHOLE))
    kept = {names[index] for index in validation_split(WHOLE)[0]}
    fewer = [name for name in names if name != 4000]
    held = [fewer[index] for index in validation_split(len(fewer))[1]]
    assert len(kept & set(held)) > len(held) // 2


@pytest.mark.parametrize("known", ["pairs", "fold", "nothing"])
def test_a_missing_file_is_refused_for_every_kind_of_sidecar(known: str, tmp_path: Path) -> None:
    whole, short = pairs_of(tmp_path, WHOLE), pairs_of(tmp_path, WHOLE, without=4000)
    facts: dict[str, object] = {
        "pairs": {"dataset_pairs": WHOLE, "dataset_listing_sha256": "of the set in another size"},
        "fold": {"dataset_pairs": WHOLE, "fold_sha256": fold_digest(whole)},
        "nothing": {},
    }[known]
    model = trained(tmp_path, **facts)
    refuse_trained_on([model], "duts-tr", whole)
    with pytest.raises(InputError, match=r"student was trained on another fold of DUTS-TR .*here are 10,552"):
        refuse_trained_on([model], "duts-tr", short)


@pytest.mark.slow
def test_the_very_pairs_of_a_limited_run_are_its_fold(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 640)
    model = trained(tmp_path, dataset_pairs=640, dataset_listing_sha256=listing_digest(pairs))
    refuse_trained_on([model], "duts-tr", pairs)
    with pytest.raises(InputError, match=r"\(640 pairs; here are 10,553\)"):
        refuse_trained_on([model], "duts-tr", pairs_of(tmp_path, WHOLE))


def test_another_seed_of_the_whole_set_is_refused(tmp_path: Path) -> None:
    whole = pairs_of(tmp_path, WHOLE)
    model = trained(tmp_path, dataset_pairs=WHOLE, fold_sha256=fold_digest(whole, seed=7))
    with pytest.raises(InputError, match="another fold"):
        refuse_trained_on([model], "duts-tr", whole)


def test_the_run_that_it_started_from_counts(tmp_path: Path) -> None:
    whole = pairs_of(tmp_path, WHOLE)
    first = {"pairs": 9000, "listing_sha256": "other"}
    model = trained(tmp_path, dataset_pairs=WHOLE, fold_sha256=fold_digest(whole), started_from=first)
    with pytest.raises(InputError, match=r"\(9,000 pairs; here are 10,553\)"):
        refuse_trained_on([model], "duts-tr", whole)


def test_what_was_averaged_in_counts_with_all_that_it_began_with(tmp_path: Path) -> None:
    whole = pairs_of(tmp_path, WHOLE)
    own = {"dataset_pairs": WHOLE, "fold_sha256": fold_digest(whole)}
    same = {"best_pt_sha256": "a", "share": 0.25, "corpora": ["duts-tr"], "fold_sha256": fold_digest(whole)}
    other = {"pairs": 9000, "corpora": ["duts-tr"], "fold_sha256": "other"}
    refuse_trained_on([trained(tmp_path, **own, averaged_with=[same])], "duts-tr", whole)
    for part in (same | other, same | {"started_from": other}):
        with pytest.raises(InputError, match=r"\(9,000 pairs; here are 10,553\)"):
            refuse_trained_on([trained(tmp_path, **own, averaged_with=[same, part])], "duts-tr", whole)


def test_a_part_of_an_older_sidecar_is_taken_to_be_trained_on_the_whole_set(tmp_path: Path) -> None:
    whole = pairs_of(tmp_path, WHOLE)
    part = {"best_pt_sha256": "a", "share": 0.5}
    model = trained(tmp_path, dataset_pairs=WHOLE, fold_sha256=fold_digest(whole), averaged_with=[part])
    refuse_trained_on([model], "duts-tr", whole)


def test_each_run_is_judged_by_its_own_corpora(tmp_path: Path) -> None:
    whole = pairs_of(tmp_path, WHOLE)
    elsewhere = {"pairs": 9000, "corpora": ["msra10k"], "fold_sha256": "of another corpus"}
    own = {"dataset_pairs": WHOLE, "fold_sha256": fold_digest(whole)}
    refuse_trained_on([trained(tmp_path, **own, started_from=elsewhere)], "duts-tr", whole)
    here = {"pairs": 9000, "corpora": ["duts-tr"], "fold_sha256": "other"}
    later = trained(tmp_path, dataset="MSRA10K", started_from=elsewhere | {"started_from": here})
    with pytest.raises(InputError, match=r"\(9,000 pairs; here are 10,553\)"):
        refuse_trained_on([later], "duts-tr", whole)


def test_a_part_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    part = {"best_pt_sha256": "a", "share": 0.5, "pairs": "many"}
    with pytest.raises(InputError, match=r"student\.json.*many"):
        refuse_trained_on([trained(tmp_path, averaged_with=[part])], "duts-tr", pairs_of(tmp_path, 700))


def test_a_run_keeps_the_corpora_of_the_one_that_it_began_with(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from train.history import stage_of

    (tmp_path / "best.pt").write_bytes(b"weights")
    write_json(tmp_path / "run.json", about(corpora=["DUTS-TR", "hku-is"]))
    assert stage_of(tmp_path)["corpora"] == ["duts-tr", "hku-is"]


def test_a_model_of_another_corpus_has_seen_none_of_it(tmp_path: Path) -> None:
    refuse_trained_on([trained(tmp_path, dataset="MSRA10K")], "duts-tr", pairs_of(tmp_path, 700))
