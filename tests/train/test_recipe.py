"""Students have their published sizes, and recipes refuse what they cannot mean; skipped without torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError

pytest.importorskip("torch", reason="the extra `train` is not installed")


def test_students_have_their_published_sizes() -> None:
    from train.students.registry import build_student, trainable_parameters

    assert trainable_parameters(build_student("v1")) == 112_841
    assert trainable_parameters(build_student("v2")) == 123_721
    assert all(trainable_parameters(build_student(name)) <= 300_000 for name in ("v3", "v4", "v5"))
    with pytest.raises(InputError, match="allowed: teacher, v1, v2, v3, v4, v5"):
        build_student("v0")


def test_recipes_refuse_what_they_cannot_mean(tmp_path: Path) -> None:
    from train.loop import train
    from train.recipe import load_recipe

    path = tmp_path / "mine.toml"
    for line, says in (
        ('epochs = "50"', "epochs is '50'"),
        ("lr = 0", "lr is 0"),
        ("batch_size = true", "batch_size is True"),
        ("warmup = 3", "unknown key 'warmup'"),
        ('student = "v2"', "a recipe for 'v2'"),
        ("epochs = ", "is not TOML"),
    ):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=says):
            load_recipe("v1", path)
    with pytest.raises(InputError, match=r"no recipe: .*shipped: .*v1, v2, v3"):
        load_recipe("v1", tmp_path / "none.toml")
    path.write_text('optimizer = "sgd"\n')
    with pytest.raises(InputError, match=r"unknown optimizer 'sgd' in the recipe \(allowed: adam, adamw\)"):
        train(load_recipe("v1", path), [], tmp_path / "run", tmp_path / "cache", "cpu")


def test_no_shipped_recipe_has_a_value_that_does_nothing() -> None:
    from train.loop import _refuse_what_would_do_nothing
    from train.recipe import RECIPES, load_recipe

    shipped = [load_recipe(path.stem.partition("-")[0], path) for path in RECIPES.glob("*.toml")]
    assert len(shipped) > 5
    for recipe in shipped:
        _refuse_what_would_do_nothing(recipe)


def test_any_key_of_a_recipe_can_be_set_and_the_run_says_so() -> None:
    from train.recipe import changes_of, load_recipe, overrides_of

    recipe = load_recipe("v3", **overrides_of(["ema=0.0", "smallest_view=1", "loss=bce+dice"]))
    assert recipe.ema == 0 and recipe.smallest_view == 1
    assert changes_of(recipe) == "loss=bce+dice ema=0.0 smallest_view=1"
    assert changes_of(load_recipe("v2", seed=7)) == ""
    for wrong in ("ema", "emma=1", "student=v2"):
        with pytest.raises(InputError, match="cannot set"):
            overrides_of([wrong])
    assert overrides_of(["epochs=3"], epochs=None, seed=7) == {"epochs": 3, "seed": 7}
    for twice in (["epochs=3", "epochs=4"], ["seed=3"]):
        with pytest.raises(InputError, match=r"is set twice: .* and .* \(allowed: once\)"):
            overrides_of(twice, seed=7)


def test_a_student_of_another_size_than_its_module_declares_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.students import registry

    monkeypatch.setitem(registry.STUDENTS, "v1", registry.STUDENTS["v1"]._replace(parameters=7))
    with pytest.raises(HarnessError, match="v1 has 112841 trainable parameters, not 7") as found:
        registry.build_student("v1")
    assert not isinstance(found.value, InputError)
