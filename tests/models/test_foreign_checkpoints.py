"""A checkpoint from anybody ends in one line or in a correct prediction, and runs no code."""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import re
import time
import types
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import heritage
from heritage.config.saved_parts import saved_part
from heritage.core.files import PACKAGE, config_dir
from heritage.data.allowed_targets import DATA_MODULES, READERS, SPLITS
from heritage.errors import CheckpointError, HeritageError
from heritage.inference import checkpoint as inference
from heritage.inference.checkpoint import describe_checkpoint, load_checkpoint
from heritage.inference.logit_adjustment import frequency_correction
from heritage.inference.test_set import open_test_set
from heritage.models import checkpoint as models
from heritage.models.builders import network_builders
from heritage.models.checkpoint import parse_checkpoint
from heritage.prediction.predictor import Predictor
from tests.conftest import write_tree
from tests.models.foreign_checkpoints import CLASSES, NETWORK, WRONG, paths, valid_state, with_value


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("foreign") / "tree", dict.fromkeys(CLASSES, 9))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], inference.TrainedClassifier]:
    """Load the content of a checkpoint, through a file whose reading is skipped."""
    file = tmp_path / "x.ckpt"
    file.write_bytes(bytes(100_000))
    state: list[Any] = []
    monkeypatch.setattr(models, "open_checkpoint", lambda _: state[0])

    def load(content: Any) -> inference.TrainedClassifier:
        state[:] = [content]
        return load_checkpoint(file)

    return load


def predicts(classifier: inference.TrainedClassifier) -> None:
    """Use a classifier as the commands do, and check what they show."""
    images = torch.randint(0, 256, (2, classifier.image_size, classifier.image_size, 3), dtype=torch.uint8)
    predictor = heritage.prediction.predictor.Predictor(
        classifier, heritage.prediction.decision_rule.DecisionRule(), device="cpu"
    )
    output = predictor.predict_batch(images)
    assert output.probabilities.shape == (2, len(classifier.classes))
    np.testing.assert_allclose(output.probabilities.sum(axis=1), 1)
    assert "\n" not in repr(predictor)
    assert "\n" not in describe_checkpoint(classifier).name
    assert frequency_correction(classifier) is None or "its " in str(frequency_correction(classifier))


def one_line(error: HeritageError) -> None:
    text = str(error)
    assert text.isprintable(), text
    assert len(text) < 3000


def test_the_valid_checkpoint_predicts_and_finds_its_test_set(
    load: Callable[[Any], inference.TrainedClassifier], photographs: Path
) -> None:
    classifier = load(valid_state(photographs))
    predicts(classifier)
    manifest = open_test_set(classifier, {"data": None, "root": None}, "all").data.manifest
    assert len(manifest) == 27


def keys_to_mutate() -> list[tuple[Any, ...]]:
    """Every key of a checkpoint; of the weights, three."""
    every = list(paths(valid_state(Path("tree"))))
    weights = [path for path in every if path[0] == "state_dict" and len(path) > 1]
    return [path for path in every if path not in weights[3:]]


@pytest.mark.parametrize("path", keys_to_mutate(), ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_value_anywhere_is_one_line_or_harmless(
    load: Callable[[Any], inference.TrainedClassifier],
    photographs: Path,
    path: tuple[Any, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: Any) -> None:
        raise AssertionError("a command was run")

    monkeypatch.setattr(os, "system", run)
    state = valid_state(photographs)
    ended = Counter[str]()
    for value in WRONG:
        try:
            classifier = load(with_value(state, path, value))
            predicts(classifier)
            if "data" in path or "seed" in path:
                open_test_set(classifier, {"root": None, "batch_size": None}, "all")
            ended["predicted"] += 1
        except HeritageError as error:
            one_line(error)
            ended["refused"] += 1
    assert ended.total() == len(WRONG)
    assert ended["refused"] > 0


def test_missing_keys_are_one_line_or_harmless(
    load: Callable[[Any], inference.TrainedClassifier], photographs: Path
) -> None:
    state = valid_state(photographs)
    refused = set()
    for path in keys_to_mutate():
        changed = with_value(state, path, None)
        node: Any = changed
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        try:
            predicts(load(changed))
        except HeritageError as error:
            one_line(error)
            refused.add(path)
    assert refused >= {("state_dict",), ("heritage",), ("heritage", "classes"), ("heritage", "config")}


ODD: dict[str, Any] = {
    "a pixel too many": lambda s: s["heritage"]["config"]["data"].__setitem__("image_size", 10**6),
    "two million classes": lambda s: s["heritage"].__setitem__("classes", [str(k) for k in range(2 * 10**6)]),
    "a class twice": lambda s: s["heritage"].__setitem__("classes", ["a", "b", "a"]),
    "a class without a name": lambda s: s["heritage"].__setitem__("classes", ["a", " ", "b"]),
    "a class with a line break": lambda s: s["heritage"].__setitem__("classes", ["a", "x\ny", "b"]),
    "one class less": lambda s: s["heritage"].__setitem__("classes", ["a", "b"]),
    "a negative crop": lambda s: s["heritage"]["config"]["data"].__setitem__("crop_pct", -1),
    "a very deep network": lambda s: s["heritage"]["config"]["model"].__setitem__("depth", 10**8),
    "a very wide network": lambda s: s["heritage"]["config"]["model"].__setitem__("width", 4 * 10**8),
    "a layer without weights": lambda s: s["heritage"]["config"]["model"].__setitem__("mlp_ratio", 0.0),
    "no configuration": lambda s: s["heritage"].__setitem__("config", {}),
    "a record as a list": lambda s: s.__setitem__("heritage", [1]),
    "weights of NaN": lambda s: s["state_dict"].__setitem__("net.head.bias", torch.full((3,), float("nan"))),
    "weights that repeat one number": lambda s: s["state_dict"].__setitem__(
        "net.head.bias", torch.zeros(1).expand(10**12)
    ),
    "a hub's name": lambda s: s["heritage"]["config"].__setitem__(
        "model", {"_target_": "heritage.models.backbone.timm_network", "name": "hf-hub:someone/x",
                  "weights": "none", "drop_rate": None, "drop_path_rate": None, "grad_checkpointing": False}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_checkpoints_are_refused_before_anything_large_is_allocated(
    load: Callable[[Any], inference.TrainedClassifier],
    photographs: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = valid_state(photographs)
    ODD[name](state)
    began = time.perf_counter()
    with pytest.raises(CheckpointError) as error:
        load(state)
    one_line(error.value)
    assert time.perf_counter() - began < 20


def test_shared_parts_do_not_multiply(
    load: Callable[[Any], inference.TrainedClassifier], photographs: Path
) -> None:
    state = valid_state(photographs)
    bomb: list[Any] = [0]
    for _ in range(60):
        bomb = [bomb, bomb]
    state["heritage"]["config"]["note"] = bomb
    with pytest.raises(CheckpointError, match="more values or levels"):
        load(state)


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


def test_no_damage_of_the_file_runs_code_or_raises_anything_else(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = valid_state(photographs)
    torch.save(state, good := tmp_path / "good.ckpt")
    load_checkpoint(good)
    content, random = good.read_bytes(), np.random.default_rng(0)
    torch.save({"epoch": 0, "state_dict": {}, "heritage": Evil()}, tmp_path / "evil.ckpt")
    (tmp_path / "raw.ckpt").write_bytes(pickle.dumps(Evil()))
    with (
        zipfile.ZipFile(good) as archive,
        zipfile.ZipFile(tmp_path / "compressed.ckpt", "w", zipfile.ZIP_DEFLATED) as compressed,
    ):
        for entry in archive.namelist():
            compressed.writestr(entry, archive.read(entry))
    names = ["evil.ckpt", "raw.ckpt", "compressed.ckpt"]
    for number in range(60):
        damaged = bytearray(content)
        start = content.index(b"data.pkl") if number % 2 else 0  # the plain data, or anywhere
        for place in random.integers(start, start + 3000 if number % 2 else len(content), 3):
            damaged[place] = int(random.integers(256))
        names.append(f"{number}.ckpt")
        (tmp_path / names[-1]).write_bytes(damaged[: len(content) if number % 5 else len(content) // 2])
    for name in names:
        try:
            load_checkpoint(tmp_path / name)
        except HeritageError as error:
            one_line(error)
        else:
            assert name not in names[:3]
    assert not (tmp_path / "harm").exists()


TABLES = {"network": None, "data set": DATA_MODULES, "reader": READERS, "split": SPLITS}


def modules() -> list[types.ModuleType]:
    """Every module of the package."""
    names = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "heritage.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def attribute_paths() -> Iterator[str]:
    """Yield every attribute path from every module: through the modules it imports, three levels of them."""
    below: dict[int, list[str]] = {}

    def inside(module: types.ModuleType, depth: int) -> list[str]:
        key = id(module) * 4 + depth
        if key not in below:
            below[key] = []
            for name, value in list(vars(module).items()):
                below[key].append(name)
                if depth and isinstance(value, types.ModuleType):
                    below[key] += [f"{name}.{path}" for path in inside(value, depth - 1)]
        return below[key]

    for module in modules():
        for path in inside(module, 2):
            yield f"{module.__name__}.{path}"


def test_no_attribute_path_of_any_module_leads_out_of_the_tables() -> None:
    tables = {name: table or dict(network_builders()) for name, table in TABLES.items()}
    known = {name for table in tables.values() for name in table}
    count, reached = 0, set()
    for path in attribute_paths():
        count += 1
        if path in known:
            reached.add(path)
        elif path.endswith((".hub.load", ".rmtree", ".system", ".load", ".import_module")):
            for name, table in tables.items():
                with pytest.raises(CheckpointError, match="not this package's"):
                    saved_part({"_target_": path}, table, part=name, key="model", where="x.ckpt")
    assert count > 50_000
    assert {name for name in known if name.startswith("heritage.models.")} <= reached
    # the way that Hydra would follow, and that did reach torch.hub.load
    assert "heritage.models.weights.torch.hub.load" not in known


def test_the_tables_hold_every_option_of_the_configuration() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (config_dir() / "data").rglob("*.yaml"))
    named = set(re.findall(r"_target_: (\S+)", text))
    known = {name: part for table in (DATA_MODULES, READERS, SPLITS) for name, part in table.items()}
    assert named <= known.keys()
    for name, part in known.items():
        assert name.rpartition(".")[2] == part.__name__


def test_nothing_is_imported_or_looked_up_for_a_name_in_a_file(
    load: Callable[[Any], inference.TrainedClassifier],
    photographs: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "harmful_module.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("harmful_module.net", "heritage.models.weights.torch.hub.load", "os.system",
             "heritage.data.staging.shutil.rmtree", "heritage.models.vit_sizes.vit.__globals__",
             "heritage.models.vit_sizes.Vit", "x" * 10**6,
             "", "..", "heritage.models.vit_sizes.vit ")  # fmt: skip
    for name in names:
        state = valid_state(photographs)
        state["heritage"]["config"]["model"]["_target_"] = name
        refused = "which (?:is not this package's|this package does not define)"
        with pytest.raises(CheckpointError, match=refused):
            load(state)
        for part in ("reader", "split"):
            state = valid_state(photographs)
            state["heritage"]["config"]["data"][part]["_target_"] = name
            with pytest.raises(CheckpointError, match=refused):
                open_test_set(load(state), {}, "test")
        # what prediction and evaluation do not need is not looked up at all
        state = valid_state(photographs)
        state["heritage"]["config"]["augment"] = {"train": {"_target_": name}, "copies": {"_target_": name}}
        state["heritage"]["config"]["balance"]["loss"]["_target_"] = name
        state["heritage"]["config"]["balance"]["sampling"]["_target_"] = name
        if name.startswith("heritage."):
            with pytest.raises(CheckpointError, match="which this package does not define"):
                load(state)
            continue
        classifier = load(state)
        open_test_set(classifier, {}, "all")
        assert frequency_correction(classifier) is None


def test_interpolations_stay_text(
    load: Callable[[Any], inference.TrainedClassifier], photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    state = valid_state(photographs)
    state["heritage"]["config"]["data"]["root"] = "/tmp/${oc.env:SECRET_TOKEN,none}"  # noqa: S108
    state["heritage"]["config"]["model"]["pool"] = "${oc.env:SECRET_TOKEN,none}"
    with pytest.raises(CheckpointError) as error:
        load(state)
    assert "hunter2" not in str(error.value)
    state["heritage"]["config"]["model"]["pool"] = "avg"
    with pytest.raises(HeritageError, match=r"\$\{oc\.env:SECRET_TOKEN,none\}"):
        open_test_set(load(state), {}, "test")


def test_the_users_own_network_is_trusted_by_name(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from heritage.models.vit_sizes import vit\n"
        "def mine(*, width, num_classes, image_size, weights):\n"
        f"    options = {NETWORK!r}\n"
        "    return vit(**options | {'width': width}, num_classes=num_classes, image_size=image_size)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    state = valid_state(photographs)
    state["heritage"]["config"]["model"] = {"_target_": "my_nets.mine", "width": 8, "weights": "none"}
    torch.save(state, file := tmp_path / "mine.ckpt")
    with pytest.raises(CheckpointError, match=r"trusted=\[<dotted name>\]"):
        heritage.load(file)
    predictor = heritage.load(file, trusted=["my_nets.mine"], device="cpu")
    assert isinstance(predictor, Predictor)
    assert predictor.predict(np.zeros((32, 32, 3), np.uint8)).label in CLASSES
    with pytest.raises(HeritageError, match=r"trusted=my_nets\.nothing"):
        heritage.load(file, trusted=["my_nets.nothing"])


def test_no_module_unpickles_or_reads_yaml_as_objects() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    for path, text in sources.items():
        assert "allow_pickle=True" not in text, path
        assert "pickle.load" not in text, path
        assert "joblib" not in text, path
        assert text.count("torch.load(") == text.count("weights_only=True, mmap"), path
    loads = {
        path.relative_to(PACKAGE).as_posix() for path, text in sources.items() if "OmegaConf.load(" in text
    }
    # Both read files of conf/, which belong to the package.
    assert loads == {"config/composition_errors.py", "inference/test_set.py"}


def test_parse_checkpoint_keeps_the_weights(photographs: Path, tmp_path: Path) -> None:
    torch.save(valid_state(photographs), file := tmp_path / "x.ckpt")
    state = torch.load(file, weights_only=True)
    checkpoint = parse_checkpoint(state, file)
    assert checkpoint.epoch == 2
    assert checkpoint.classes == tuple(CLASSES)
    assert set(checkpoint.weights) == {name.removeprefix("net.") for name in state["state_dict"]}
