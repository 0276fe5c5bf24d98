"""Paths and names of the command line arrive as the shell passes them."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import heritage as package
from heritage.cli import COMMANDS
from heritage.config.overrides import prepared_overrides
from heritage.config.register import register
from heritage.config.schema import SCHEMAS
from heritage.core.option_types import option_type
from tests.config.test_composition import NEEDED
from tests.conftest import TINY, Command

NAMES = [
    "seed=0", "model=vit,seed=1", "vase (1).jpg", "Données", "Éte" + chr(0x301), "日本語", "🏺", "l'art d'Ur",
    'the "best"', "a' b\"", "[x]", "[x", "{y}", "cost $5", "${HOME", "#7", "a:b", "-rf", "trailing ",
    " leading", "C:\\new\\table", "C:\\old\\(x)", "\\\\server\\share", "end\\", "a\\,b", "x" * 250, "2024",
    "007", "1_000", "1e3", "0x1F", "true", "NULL", "50%", "a;b&c|d<e>", "a*b?", "!bang", "`x`", "@home",
    "+plus", "a==b", "a//b/", "./x", "~backup of nobody", "a\nb", "a\tb", "str(3)", "choice(a,b)", "glob(*)",
    "a=~b", "=",
]  # fmt: skip


def plain(verb: str, *words: str, **options: Any) -> Any:
    return OmegaConf.to_container(package.compose(verb, words, **options), resolve=True)


def read_by_hydra(word: str) -> object:
    """Return the value of an override as Hydra and then OmegaConf read it."""
    value = OverridesParser.create().parse_override(word).value()
    container = OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)
    assert isinstance(container, dict)
    return container["value"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["data.root", "model.name", "data.reader.columns.file", "paths.outputs"])
def test_a_path_and_a_name_arrive_as_they_are_given(key: str, name: str) -> None:
    register()
    groups = ["data=table", "model=timm"]
    *_, word = prepared_overrides("train", [*groups, f"{key}={name}"])
    assert read_by_hydra(word) == name


@pytest.mark.parametrize("name", [name for name in NAMES if "," not in name and name == name.strip()])
def test_the_items_of_a_list_are_names(name: str) -> None:
    register()
    (word,) = prepared_overrides("predict", [f"input=[{name}, 'a,b',{name}]"])
    assert read_by_hydra(word) == [name, "a,b", name]


@pytest.mark.parametrize("name", ["seed=0", "Données (1), l'art", "2024", "C:\\new\\", "${HOME", "true"])
def test_a_configuration_holds_the_name(name: str) -> None:
    cfg = plain("train", "data=table", f"data.root={name}", "model=timm", f"model.name={name}")
    assert cfg["data"]["root"] == name
    assert cfg["model"]["name"] == name
    if "$" not in name:
        assert plain("evaluate", "ckpt=x", f"hydra.run.dir={name}")["paths"]["run"] == str(
            Path(name).absolute()
        )


@pytest.mark.parametrize("name", [name for name in NAMES if "," not in name and name == name.strip()])
def test_a_sweep_separates_names_at_commas(name: str) -> None:
    register()
    words = prepared_overrides("train", [f"data.root=first,{name},'a,b'", "seed=0,1"], multirun=True)
    parsed = OverridesParser.create().parse_overrides(words)
    jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    assert len(jobs) == 6
    values = [OverridesParser.create().parse_override(job[0]).value() for job in jobs[::2]]
    assert [str(value).replace("\\${", "${") for value in values] == ["first", name, "a,b"]


@pytest.mark.parametrize(
    ("verb", "word", "expected"),
    [
        ("predict", "out=null", None),
        ("predict", "out='null'", "null"),
        ("predict", "threshold=0.5", 0.5),
        ("predict", 'input="a  b"', "a  b"),
        ("predict", "input=[a.jpg,b=c.jpg, 'd,e.jpg']", ["a.jpg", "b=c.jpg", "d,e.jpg"]),
        ("predict", "input=a.jpg,b.jpg", "a.jpg,b.jpg"),
        ("predict", "input=${folder}/x", "outputs/predict/x"),
        ("predict", r"input=a\${folder}", "a${folder}"),
        ("predict", "batch_size=1_0", 10),
        ("train", "resume=true", True),
        ("train", "resume=false", False),
        ("train", "target_precision=null", None),
        ("train", "objective=null", None),
        ("serve", "names=[a.org,b.org]", ["a.org", "b.org"]),
        ("serve", "names=null", None),
        ("collect", "limit=null", None),
    ],
)
def test_values_that_are_not_text_keep_their_type(verb: str, word: str, expected: object) -> None:
    words = [other for other in NEEDED.get(verb, []) if other.split("=")[0] != word.split("=")[0]]
    register()
    prepared = prepared_overrides(verb, [*words, word])
    from heritage.config.compose import compose_command

    cfg = compose_command(verb, prepared)
    value = OmegaConf.to_container(OmegaConf.create({"value": cfg[word.split("=")[0]], "folder": None}))
    assert isinstance(value, dict)
    if isinstance(expected, str) and "${" in word:
        assert cfg[word.split("=")[0]] == expected
    else:
        assert value["value"] == expected


def test_what_hydra_reads_as_the_same_text_is_not_changed() -> None:
    register()
    words = ["model=vit", "seed=3", "data.root=/photographs/a b", "optimizer.lr=1e-3", "~data.stage",
             "callbacks=[ema,default]", "data.classes=[a,b]", "data.classes=null", "trainer.devices=auto",
             "hydra.run.dir=x", "+experiment=thesis/baseline", "data.root=${paths.data}/x",
             "data.root='x y'"]  # fmt: skip
    assert prepared_overrides("train", words) == words
    swept = ["model=vit,resnet18", "seed=range(3)", "optimizer.lr=0.1,0.2", "+experiment=thesis/a,thesis/b"]
    assert prepared_overrides("train", swept, multirun=True) == swept


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_path_takes_the_home_directory(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    hints = option_type(SCHEMAS[verb]).keys or {}
    paths = [field.name for field in fields(SCHEMAS[verb]) if option_type(hints[field.name]).path]
    paths = [name for name in paths if name != "resume"]  # which must exist
    needed = [word for word in NEEDED.get(verb, []) if word.split("=")[0] not in paths]
    cfg = plain(verb, *needed, *(f"{key}=~/my {key}" for key in paths), "paths.outputs=~/out")
    assert {key: cfg[key] for key in paths} == {key: f"/home/me/my {key}" for key in paths}
    assert cfg["paths"]["data"] == "/home/me/out/data"
    assert verb not in ("train", "evaluate", "explain", "compare") or cfg["paths"]["run"].startswith(
        f"/home/me/out/{verb}/"
    )


def test_the_home_directory_in_files_lists_and_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndata:\n  root: ~/photographs\npaths:\n  outputs: ~/out\nmodel:\n  name: ~x\n"
    )
    cfg = plain("train", f"hydra.searchpath=[file://{tmp_path}]", "+experiment=mine", "data.stage='~/a b'")
    assert cfg["data"]["root"] == "/home/me/photographs"
    assert cfg["data"]["stage"] == "/home/me/a b"
    assert cfg["paths"]["run"].startswith("/home/me/out/train/")
    assert cfg["model"]["name"] == "~x"
    runs = plain("compare", runs=["~/a", "b~c", Path("~/d")])["runs"]
    assert runs == ["/home/me/a", "b~c", "/home/me/d"]
    assert plain("compare", "runs=[~/a,~/b=c]")["runs"] == ["/home/me/a", "/home/me/b=c"]


def test_a_new_key_of_a_mapping_needs_no_plus() -> None:
    cfg = plain("curate", "raw=table", "raw.root=/x", "raw.columns.class=Kind", "raw.columns.file=File",
                "raw.values.licence=CC0-1.0")  # fmt: skip
    assert cfg["raw"]["columns"] == {"file": "File", "class": "Kind"}
    assert cfg["raw"]["values"] == {"licence": "CC0-1.0"}
    assert (
        plain("curate", "raw=table", raw__root="/x", raw__columns__class="A b")["raw"]["columns"]["class"]
        == "A b"
    )
    assert plain("train", "trainer.extra.profiler=simple")["trainer"]["extra"] == {"profiler": "simple"}


WEIGHTS = "balance.weighting.weights"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([f"{WEIGHTS}.islam=2", f"{WEIGHTS}.orient=3.5"], {"islam": 2, "orient": 3.5}),
        ([f"{WEIGHTS}.Ägypten=2", f"{WEIGHTS}.islam=1"], {"Ägypten": 2, "islam": 1}),
        ([f"{WEIGHTS}.new kingdom=2"], {"new kingdom": 2}),
        ([f"{WEIGHTS}.St. Gallen=2"], {"St. Gallen": 2}),
        ([f"{WEIGHTS}={{中国: 2, it's: 1}}"], {"中国": 2, "it's": 1}),
        ([f"{WEIGHTS}={{islam: 1}}", f"{WEIGHTS}.asian=4"], {"islam": 1, "asian": 4}),
        ([f"{WEIGHTS}.é=1", f"{WEIGHTS}={{islam: 1, é: 3}}"], {"islam": 1, "é": 3}),
    ],
)
def test_keys_of_a_mapping_are_names(words: list[str], expected: dict[str, float]) -> None:
    cfg = plain("train", "balance/weighting=by_hand", *words)
    assert cfg["balance"]["weighting"]["weights"] == expected


def test_keys_of_a_mapping_from_python() -> None:
    weights = {"Ägypten": 2, "it's": 3, "a: b": 1, "x${y}": 1.5, 'the "best"': 1, "end\\": 4}
    cfg = plain("train", "balance/weighting=by_hand", balance__weighting__weights=weights)
    assert cfg["balance"]["weighting"]["weights"] == weights


def test_values_of_a_mapping_can_be_swept() -> None:
    register()
    words = ["balance/weighting=by_hand", f"{WEIGHTS}.islam=1,2", f"{WEIGHTS}.Ägypten=3"]
    _, word = prepared_overrides("train", words, multirun=True)
    parsed = OverridesParser.create().parse_overrides([word])
    values = [value for (value,) in BasicSweeper.split_arguments(parsed, None)[0]]
    assert len(values) == 2
    assert read_by_hydra(prepared_overrides("train", [values[1]])[0]) == {"islam": 2, "Ägypten": 3}


def test_an_option_of_a_class_still_needs_to_exist(heritage: Command) -> None:
    done = heritage("curate", "raw=table", "raw.root=/x", "raw.colunms.class=Kind", "split.tst=0.3")
    assert done.code == 2
    assert [line.partition(":")[0] for line in done.err.splitlines()] == [
        "heritage curate", "heritage curate"]  # fmt: skip
    assert "did you mean 'columns'?" in done.err
    assert "did you mean 'test'?" in done.err


@pytest.mark.parametrize(
    "name", ["out/sweeps/x/seed=0", "a (1), [b]", "Données/tab", "it's", "2024", "a\tb", "🏺"]
)
def test_a_command_looks_for_the_very_name(heritage: Command, name: str) -> None:
    done = heritage("evaluate", f"ckpt={name}")
    assert done.code == 2
    assert done.err.startswith(f"heritage evaluate: {' '.join(name.split())}: no such checkpoint; ")


def test_folders_of_sweeps_and_photographs_with_brackets(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "out" / "sweeps" / "x" / "seed=0"
    shutil.copytree(run_folder, copy)
    picture = next(
        path for path in sorted(photographs.iterdir()) if path.name != "cut.jpg" and path.suffix == ".jpg"
    )
    shutil.copy(picture, tmp_path / "vase (1).jpg")
    common = ("num_workers=0", "device=cpu")
    done = heritage(
        "predict", "ckpt=out/sweeps/x/seed=0", "input=vase (1).jpg", "out=table, final.csv", *common
    )
    assert done.code == 0, done.err
    lines = (tmp_path / "table, final.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0].strip('"') for line in lines] == ["file", "vase (1).jpg"]


def test_training_reads_and_writes_folders_with_odd_names(
    heritage: Command, tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree, tmp_path / "Données (1)" / "tab=é, 'x'")
    done = heritage("train", *TINY, "data.root=Données (1)/tab=é, 'x'", "paths.outputs=résultats [1]",
                    "trainer.limit_train_batches=1")  # fmt: skip
    assert done.code == 0, done.err
    (report,) = (tmp_path / "résultats [1]").rglob("report.md")
    assert report.parent.name.endswith("_tab-é-x_resnet10t_none")
