"""`heritage compare`: the thesis's tables, paired tests against their definitions, files and wrong input."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from scipy.stats import binom  # type: ignore[import-untyped]

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import ResamplingOptions, compare
from heritage.comparison.paired import bootstrap_p, holm, mcnemar, required_resamples, resampled_scores
from heritage.comparison.published import AVERAGES, SUPPORT, published
from heritage.comparison.report import write_comparison
from heritage.comparison.runs import find_runs
from heritage.core.taxonomy import CLASSES
from heritage.metrics.bootstrap import bootstrap
from tests.conftest import Command

RESAMPLING = ResamplingOptions(40, 0)


def test_the_published_averages_follow_from_the_published_rows() -> None:
    runs = published()
    assert len(runs) == 15
    support = np.array([SUPPORT[name] for name in CLASSES])
    assert support.sum() == 22_363
    for run in runs:
        precision, recall, f1 = (np.array([run.rows[name][k] for name in CLASSES]) for k in range(3))
        np.testing.assert_allclose(2 * precision * recall / (precision + recall), f1, atol=2e-6)
        assert np.average(recall, weights=support) == pytest.approx(run.accuracy, abs=2e-6)
        for name, weights in zip(AVERAGES, (np.ones(len(support)), support), strict=True):
            averages = tuple(np.average(one, weights=weights) for one in (precision, recall, f1))
            assert averages == pytest.approx(run.rows[name], abs=2e-6)


def test_paired_tests_against_their_definitions() -> None:
    first = np.array([1] * 30 + [1] * 9 + [0] * 2 + [0] * 5, dtype=bool)
    second = np.array([1] * 30 + [0] * 9 + [1] * 2 + [0] * 5, dtype=bool)
    only_first, only_second, p = mcnemar(first, second)
    assert (only_first, only_second) == (9, 2)
    assert p == pytest.approx(2 * binom.cdf(2, 11, 0.5))
    assert mcnemar(first, first) == (0, 0, 1.0)
    # Holm 1979: 0.01·4, 0.013·3 raised to the one before, 0.02·2 likewise, 0.6·1
    assert holm([0.013, 0.6, 0.01, 0.02]) == pytest.approx([0.04, 0.6, 0.04, 0.04])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert bootstrap_p(np.linspace(-1, 1, 999)) == pytest.approx(1, abs=0.01)
    assert bootstrap_p(np.full(999, 0.1)) == pytest.approx(2 / 1000)


def test_a_better_network_is_significant_and_an_equal_one_is_not(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    truth = np.eye(len(base.classes))[base.targets]
    perfect = replace(base, probabilities=truth, description=replace(base.description, balance="perfect"))
    poor = replace(
        base, probabilities=np.roll(truth, 1, axis=0), description=replace(base.description, balance="poor")
    )
    same = replace(
        base, probabilities=np.roll(truth, 1, axis=0), description=replace(base.description, balance="same")
    )
    comparison = compare([poor, perfect, same], ResamplingOptions(200, 0))
    assert comparison.settings[0].name == "perfect"
    verdicts = {(comparison.settings[one.first].name, comparison.settings[one.second].name): one.significant
                for one in comparison.differences}  # fmt: skip
    assert verdicts == {("perfect", "poor"): True, ("perfect", "same"): True, ("poor", "same"): False}


def test_a_better_network_is_significant_among_many(runs: Path) -> None:
    # Holm's correction of 45 pairs lifts the smallest p of 1,000 resamples, 2 / 1001, above 0.05
    base = find_runs([str(runs / "none")])[0]
    truth = np.eye(len(base.classes))[base.targets]
    wrong = np.roll(truth, 1, axis=1)
    descriptions = [replace(base.description, balance=f"b{n}") for n in range(9)]
    poor = [replace(base, probabilities=wrong, description=one) for one in descriptions]
    perfect = replace(base, probabilities=truth, description=replace(base.description, balance="perfect"))
    comparison = compare([*poor, perfect], ResamplingOptions(1000, 0))
    assert all(one.significant == (one.first == 0) for one in comparison.differences)
    assert comparison.resamples == required_resamples(1000, 10) == 7200
    assert required_resamples(1000, 2) == 1000


def test_resamples_are_those_of_each_run_alone(runs: Path) -> None:
    first, second = find_runs([str(runs)])
    both = resampled_scores([first, second], 70, 3)
    for run, scores in zip((first, second), both, strict=True):
        alone = bootstrap(run.targets, run.probabilities, run.groups, resamples=70, seed=3)
        for name in ("accuracy", "macro_f1", "top2_accuracy", "weighted_precision"):
            np.testing.assert_allclose(scores[name], alone.overall[name], atol=1e-12)
        np.testing.assert_allclose(scores[f"f1/{run.classes[2]}"], alone.by_class["f1"][:, 2], atol=1e-12)


def test_experiments_of_one_folder_have_a_common_baseline(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    made = []
    for balance, name in (("none", "baseline"), ("weights", "weights")):
        words = (f"+experiment=thesis/{name}",)
        made.append(replace(base, description=replace(base.description, balance=balance, others=words)))
    comparison = compare(made, RESAMPLING)
    assert {one.name for one in comparison.settings} == {"none", "weights"}
    assert BalancingEffects.of(comparison).table() is not None
    crt = replace(base, description=replace(base.description, balance="sampler", others=("+experiment=crt",)))
    assert BalancingEffects.of(compare([made[0], crt], RESAMPLING)).table() is None


def test_unequal_budgets_are_noted(runs: Path) -> None:
    first, second = find_runs([str(runs)])
    count = (runs / "none" / "report.md").read_text().split(" images seen")[0].split()[-1]
    assert first.images_seen == second.images_seen == int(count.replace(",", ""))
    equal = compare([first, second], RESAMPLING)
    assert f"Each network was trained on {count} images" in equal.overview().note
    assert first.images_seen is not None
    longer = replace(second, images_seen=3 * first.images_seen)
    assert "longer training alone improves" in compare([first, longer], RESAMPLING).overview().note
    unknown = replace(second, images_seen=None)
    assert "trained on" not in compare([first, unknown], RESAMPLING).overview().note


def test_a_published_run_matches_only_its_own_balancing(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    description = replace(base.description, model="efficientnet_b0", optimizer="adam", others=())
    balances = ("oversample sampling.classes=[byzantium]", "oversample sampling.target=0.5", "loss=ldam")
    comparison = compare(
        [replace(base, description=replace(description, balance=name)) for name in balances], RESAMPLING
    )
    matched = {run.balance: comparison.settings[place].name for run in published()
               if (place := comparison.match(run)) is not None}  # fmt: skip
    assert matched == {"oversample": "oversample sampling.classes=[byzantium]"}


def test_the_best_of_several_matches_is_named(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    description = replace(base.description, model="efficientnet_b0", optimizer="adam", others=())
    worse = replace(base, probabilities=np.roll(base.probabilities, 1, axis=1),
                    description=replace(description, others=("model.weights=none",)))  # fmt: skip
    table = compare([replace(base, description=description), worse], RESAMPLING).thesis_tables()[1]
    assert "Ours beside adam is efficientnet_b0, the best of 2." in table.note


def test_seeds_become_a_mean_with_an_interval(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    truth = np.eye(len(base.classes))[base.targets]
    seeds = []
    for seed, wrong in enumerate((2, 3, 7)):
        shares = truth.copy()
        shares[:wrong] = np.roll(shares[:wrong], 1, axis=1)
        seeds.append(replace(base, probabilities=shares, description=replace(base.description, seed=seed)))
    comparison = compare(seeds, RESAMPLING)
    assert len(comparison.settings) == 1
    values = [1 - wrong / len(base.images) for wrong in (2, 3, 7)]
    assert comparison.settings[0].mean("accuracy") == pytest.approx(np.mean(values))
    half = 4.302653 * np.std(values, ddof=1) / 3**0.5  # Student's t, 2 degrees of freedom
    assert comparison.settings[0].over_seeds("accuracy") == pytest.approx(half, rel=1e-5)
    again = compare([*seeds, seeds[0]], RESAMPLING)
    assert [len(one.runs) for one in again.settings] in ([3, 1], [1, 3]), (
        "a repeated seed is not a second sample"
    )


def test_overrides_that_spell_out_defaults_make_no_other_setting(runs: Path, tmp_path: Path) -> None:
    again = shutil.copytree(runs / "none", tmp_path / "again")
    config = OmegaConf.load(again / "config.yaml")
    assert config.optimizer.lr == 2e-3
    config.seed, config.paths.run, config.callbacks.best.folder = 7, str(again), str(again)
    config.callbacks.safeguard.folder = config.callbacks.history.folder = str(again)
    config.callbacks.finite.folder = config.logger.csv.folder = str(again)
    OmegaConf.save(config, again / "config.yaml")
    hydra = OmegaConf.load(again / ".hydra" / "hydra.yaml")
    hydra.hydra.overrides.task.append("optimizer.lr=0.002")
    OmegaConf.save(hydra, again / ".hydra" / "hydra.yaml")
    comparison = compare(find_runs([str(runs / "none"), str(again)]), RESAMPLING)
    assert [one.seeds for one in comparison.settings] == [[0, 7]]
    config.optimizer.lr = 1e-3
    OmegaConf.save(config, again / "config.yaml")
    assert len(compare(find_runs([str(runs / "none"), str(again)]), RESAMPLING).settings) == 2


@pytest.mark.usefixtures("drawn_figures")
def test_the_command_writes_every_format(heritage: Command, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = heritage("compare", f"runs={runs}", f"hydra.run.dir={out}", "intervals.resamples=40")
    assert done.code == 0, done.err
    assert "2 runs, 2 settings" in done.out
    for name in ("comparison.html", "comparison.md", "settings.png", "tables/thesis-B.1.tex"):
        assert (out / name).stat().st_size > 0
    rows = list(csv.DictReader((out / "tables" / "overview.csv").read_text().splitlines()))
    assert {row["setting"] for row in rows} == {"none", "weights"}
    for row in rows:
        metrics = json.loads((runs / row["setting"] / "metrics.json").read_text())
        assert row["accuracy"].partition(" (")[0] == f"{metrics['accuracy']:.4f}"
    published_rows = list(csv.DictReader((out / "tables" / "thesis-A.2.csv").read_text().splitlines()))
    accuracy = next(row for row in published_rows if row[""] == "adam: accuracy")
    assert accuracy["F1"] == "0.8568"


def test_our_values_are_beside_the_published_ones(runs: Path) -> None:
    base = find_runs([str(runs / "none")])[0]
    ours = replace(base, description=replace(base.description, model="efficientnet_b0", optimizer="adam"))
    table = next(one for one in compare([ours], RESAMPLING).thesis_tables() if one.key == "thesis-A.2")
    row = next(row for row in table.rows if row[0] == "adam: byzantium")
    recall = ours.correct[ours.targets == CLASSES.index("byzantium")].mean()
    assert row[4] == "0.5695"
    assert row[5].startswith(f"{recall:.4f} (")
    assert float(row[6]) == pytest.approx(recall - 0.569496, abs=1e-4)
    assert "1 of 3 published settings" in table.note


def test_wrong_input_ends_in_one_line(heritage: Command, runs: Path, tmp_path: Path) -> None:
    def line(*words: str) -> str:
        done = heritage("compare", *words)
        assert done.code == 2
        lines = done.err.strip().splitlines()
        assert len(lines) == 1, done.err
        return lines[0]

    assert "no such folder" in line(f"runs={tmp_path / 'nowhere'}")
    assert "no run is given" in line("runs=[]")
    assert "an empty path" in line("runs=")
    (tmp_path / "empty").mkdir()
    assert "no run with a report" in line(f"runs={tmp_path / 'empty'}")
    unfinished = shutil.copytree(runs / "none", tmp_path / "sweep" / "unfinished")
    (unfinished / "metrics.json").unlink()
    assert "without a report" in line(f"runs={unfinished}")
    shutil.copytree(runs / "weights", tmp_path / "sweep" / "finished")
    done = heritage("compare", f"runs={tmp_path / 'sweep'}", f"hydra.run.dir={tmp_path / 'out'}")
    assert done.code == 0, done.err
    assert f"Left out, not finished: {unfinished}\n" in done.out
    damaged = shutil.copytree(runs / "none", tmp_path / "damaged")
    (damaged / "metrics.json").write_text("{")
    assert "metrics.json: unreadable" in line(f"runs={damaged}")
    corrupt = shutil.copytree(runs / "none", tmp_path / "corrupt")
    (corrupt / "predictions.parquet").write_bytes(b"PAR1 not really")
    assert "predictions.parquet: unreadable" in line(f"runs={corrupt}")

    other = shutil.copytree(runs / "none", tmp_path / "other")
    table = pq.read_table(other / "predictions.parquet")
    pq.write_table(table.slice(3), other / "predictions.parquet")
    message = line(f"runs=[{runs / 'none'},{other}]")
    assert str(other) in message
    assert str(runs / "none") in message
    assert "another test set" in message


def test_other_classes_than_the_thesis_s_have_none_of_its_values(runs: Path, tmp_path: Path) -> None:
    ours = compare(find_runs([str(runs)]), RESAMPLING)
    assert len(ours.published) == 15
    others = [replace(run, classes=tuple("abcdef")) for run in find_runs([str(runs)])]
    comparison = compare(others, RESAMPLING)
    assert comparison.thesis_tables() == []
    page = write_comparison(comparison, tmp_path, "single")
    assert "thesis" not in page.read_text().lower()
    assert "thesis" not in (tmp_path / "comparison.md").read_text().lower()
    assert not list((tmp_path / "tables").glob("thesis*"))
    assert (tmp_path / "models.pdf").is_file()
