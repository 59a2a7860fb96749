from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.groups import cost
from harness.gate.policy import load_policy, policy_of


def test_the_shipped_policy_names_its_primary_measure_and_a_promotable_profile():
    policy = load_policy()
    assert policy.profile("full").promotable
    assert not policy.profile("demo").promotable
    assert policy.profile("full").pairs == {"duts-te": 5019, "ecssd": 1000}
    assert policy_of(policy.content) == policy


def test_an_override_changes_only_what_it_names_and_the_hash(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("[cost]\ntime_ratio = 1.1\n")
    default, mine = load_policy(), load_policy(tmp_path / "mine.toml")
    assert cost.Settings.of(mine).time_ratio == 1.1
    assert cost.Settings.of(mine).sizes == cost.Settings.of(default).sizes == ((360, 640), (1080, 1920))
    assert mine.content["accuracy"] == default.content["accuracy"]
    assert mine.sha256 != default.sha256


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cost]\ntime_ration = 1.1\n", "time_ration"),
        ("[accuracy]\nprimary_margin = -1\n", "accuracy.primary_margin"),
        ("[roi]\ncrf = [24, 28, 32]\n", "roi.crf"),
        ("[profiles.full]\naccuracy = ['duts-te', 'hku-is']\n", "no count for hku-is"),
        ("[profiles.mine]\npromotable = true\n", "profiles.mine"),
        ("[costs]\ntime_ratio = 1.1\n", r"costs: no such section \(allowed: schema_version, "),
        ("groups = ['contract', 'flicker']\n", "groups names flicker, which has no section"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_bad_override_is_refused_by_name(tmp_path: Path, text: str, says: str):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError, match=says):
        load_policy(tmp_path / "bad.toml")


def test_a_missing_policy_file_and_an_unknown_profile_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot read .*absent"):
        load_policy(tmp_path / "absent.toml")
    with pytest.raises(InputError, match=r"unknown profile 'fast' \(allowed: full, demo\)"):
        load_policy().profile("fast")
