"""The model card: written from the run's own files, so that it says what was measured and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from heritage.core.manifest import Manifest
from heritage.core.version import __version__
from heritage.errors import CheckpointError
from heritage.exporters.card_metrics import RESAMPLES, figures_of_test
from heritage.exporters.parity import Parity
from heritage.inference.checkpoint import TrainedClassifier
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.audits import read_audits
from heritage.runs.calibration import read_calibration
from heritage.runs.files import DATA_FILE, ENVIRONMENT_FILE

CARD = "README.md"

_FEW = 0.5  # of the mean number of photographs a class
_UNKNOWN = "not recorded"
_COLUMNS = {"shown": "shown an epoch"}

_USAGE = {
    "onnx": """```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
images = np.zeros((1, {size}, {size}, 3), np.uint8)  # RGB, resized as heritage.json says
logits, probabilities = session.run(None, {{"images": images}})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
```""",
    "torch_export": """```python
import torch

model = torch.export.load("model.pt2").module()
images = torch.zeros(1, {size}, {size}, 3, dtype=torch.uint8)  # RGB, resized as heritage.json says
logits, probabilities = model(images)
```""",
    "safetensors": """```python
import timm, torch

model = timm.create_model("local-dir:.", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
# logits = model(transform(picture)[None]); heritage.json has the classes and the temperature
```""",
    "weights": "timm has no such network: `model.safetensors` loads into `heritage.models` alone.",
}


def model_card(
    trained: TrainedClassifier,
    decision_rule: DecisionRule,
    manifest: Manifest | None,
    *,
    form: str,
    timm: bool,
    licence: str | None,
    parity: Parity,
    resizing: str | None,
) -> str:
    """Write a model card in Markdown, with the front matter of the Hugging Face hub.

    Args:
        trained: The network and its run folder.
        decision_rule: Its calibration at work.
        manifest: Of its data set, where that is still there.
        form: The exported format.
        timm: Whether timm loads it.
        licence: Of the weights.
        parity: How the exported network compared.
        resizing: What changes where timm resizes the pictures; None where that is not known.
    """
    folder = trained.folder
    environment = _record(folder, ENVIRONMENT_FILE)
    counts = _record(folder, DATA_FILE).get("counts", {})
    git = environment.get("git") or {}
    usage = "weights" if form == "safetensors" and not timm else form
    environment_of_template = jinja2.Environment(
        loader=jinja2.PackageLoader("heritage.exporters", "."),
        autoescape=False,  # noqa: S701  Markdown of our own facts, not a page
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment_of_template.get_template("model_card.md.j2").render(
        name=_name(trained),
        classes=trained.classes,
        licence=licence,
        timm=timm,
        facts=_facts(trained, counts),
        figures=None if folder is None else figures_of_test(folder, trained.classes),
        resamples=RESAMPLES,
        calibration=None if folder is None else read_calibration(folder),
        decision_rule=str(decision_rule),
        threshold=decision_rule.threshold,
        data=_data(trained, manifest, counts),
        audits=[] if folder is None else read_audits(folder),
        rare=_rare(counts),
        usage=_USAGE[usage].format(size=trained.image_size),
        command=_command(environment.get("command", [])),
        heritage=environment.get("heritage", __version__),
        commit=str(git.get("commit", ""))[:12] + (" with changes" if git.get("dirty") else ""),
        started=environment.get("started", _UNKNOWN),
        form=form,
        parity=parity,
        resizing=resizing,
    )


def _name(trained: TrainedClassifier) -> str:
    model = trained.config["model"]
    return f"heritage {model.get('name') or str(model['_target_']).rpartition('.')[2]}"


def _facts(trained: TrainedClassifier, counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    config = trained.config
    parameters = sum(parameter.numel() for parameter in trained.model.net.parameters())
    shown = sum(counts.get("shown", {}).values())
    size = trained.image_size
    return {
        "network": f"{config['model'].get('name') or config['model']['_target_']}, {parameters:,} parameters",
        "input": f"RGB, {size}×{size}",
        "weights before training": str(config["model"].get("weights")),
        "trained for": f"{trained.epoch + 1} epochs" + (f" of {shown:,} photographs" if shown else ""),
        "seed": str(config["seed"]),
    }


def _data(
    trained: TrainedClassifier, manifest: Manifest | None, counts: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    root = Path(str(trained.config["data"]["root"])).name
    split = str(trained.config["data"]["split"].get("_target_", "")).rpartition(".")[2]
    there = "" if manifest is not None else " It is not on the machine that wrote this card."
    return {
        "name": root,
        "description": f"`{root}`, fingerprint `{trained.fingerprint[:12]}`, split by `{split}`.{there}",
        "counts": {_COLUMNS.get(name, name): dict(found) for name, found in counts.items()},
        "licences": _tally(manifest, "licence"),
        "museums": _tally(manifest, "museum"),
    }


def _tally(manifest: Manifest | None, column: str) -> dict[str, int]:
    if manifest is None:
        return {}
    known = Counter(value for value in manifest.column(column) if value)
    return dict(known.most_common())


def _command(words: list[str]) -> str:
    """Return the command of a run, without the folders of the machine it ran on."""
    told = [f"{word.partition('=')[0]}=…" if "/" in word else word for word in words[1:]]
    return " ".join(["heritage train", *told])


def _rare(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    train = counts.get("train", {})
    if not train:
        return []
    mean = sum(train.values()) / len(train)
    return [name for name, count in train.items() if count < _FEW * mean]


def _record(folder: Path | None, name: str) -> dict[str, Any]:
    if folder is None or not (folder / name).is_file():
        return {}
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"unreadable ({error})", where=folder / name, remedy="restore the run folder"
        ) from error
    return dict(found)
