"""The model card, written from the files of the run: it states measured values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from heritage.core.escaping import markdown, markdown_code
from heritage.core.hub import is_hub_address, parse_address
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.taxonomy import CIVILISATIONS
from heritage.core.version import __version__
from heritage.exporters.card_head import model_card_head
from heritage.exporters.card_metrics import RESAMPLES, card_metrics
from heritage.exporters.exporter import LOCAL_FOLDER, Exporter
from heritage.exporters.parity import Parity
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.network import is_pretrained, parameter_count
from heritage.models.views import COUNTS, VIEWS
from heritage.models.weight_licences import InitialWeights
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.audits import read_audits
from heritage.runs.calibration import read_calibration
from heritage.runs.description import split_name, target_name
from heritage.runs.files import DATA_FILE, ENVIRONMENT_FILE
from heritage.runs.record import read_json

CARD = "README.md"

_RARE = 0.5  # of the mean number of training images per class
_UNKNOWN = "not recorded"
_COLUMNS = {"shown": "images per epoch"}


@dataclass(frozen=True)
class HubPlace:
    """Where a network is published.

    Attributes:
        repo: ``owner/name`` on the hub.
        dataset: ``owner/name`` of its data set on the hub.
        title: Its title; None takes that of the model.
    """

    repo: str | None = None
    dataset: str | None = None
    title: str | None = None


def model_card(
    exporter: Exporter,
    decision_rule: DecisionRule,
    manifest: Manifest | None,
    *,
    parity: Parity,
    resizing: str | None,
    place: HubPlace | None = None,
) -> str:
    """Return a model card in Markdown, with the metadata that the Hugging Face hub reads.

    Args:
        exporter: The format, with the network and its licence.
        decision_rule: The network's calibration.
        manifest: Of its data set, if that is available.
        parity: The comparison of the exported network with PyTorch.
        resizing: The effect of the format's own resizing; None if it has none or it was not measured.
        place: Where the network is published; None for a local export.

    Raises:
        CheckpointError: A file of the run folder is damaged.
    """
    trained = exporter.source.trained
    folder = trained.folder
    environment = _read(folder, ENVIRONMENT_FILE)
    counts = _read(folder, DATA_FILE).get("counts", {})
    git = environment.get("git") or {}
    place = place or HubPlace()
    name = place.title or network_title(trained)
    metrics = None if folder is None else card_metrics(folder, trained.classes)
    data = _data(trained, manifest, counts)
    head = model_card_head(
        title=name,
        licence=exporter.source.licence,
        library=exporter.library,
        metrics=metrics,
        data=data["name"],
        dataset=place.dataset,
        base_model=base_model(trained.config["model"], trained.initial_weights),
    )
    usage = exporter.usage().replace(LOCAL_FOLDER, f"hf-hub:{place.repo}" if place.repo else LOCAL_FOLDER)
    return _template().render(
        head=Markup(head),  # noqa: S704  YAML
        repo=place.repo,
        dataset=place.dataset,
        name=name,
        classes=trained.classes,
        licence=exporter.source.licence,
        library=exporter.library,
        properties=_properties(trained, counts),
        metrics=metrics,
        resamples=RESAMPLES,
        rule=decision_rule,
        views=_calibrated_views(folder),
        notes=trained.notes,
        initial=trained.initial_weights,
        drawn=trained.training_images.all_drawn,
        data=data,
        audits=[] if folder is None else read_audits(folder),
        rare=_rare(counts),
        usage=Markup(usage),  # noqa: S704  Markdown of our own
        command=_command(environment.get("command", [])),
        heritage=environment.get("heritage", __version__),
        commit=str(git.get("commit", ""))[:12] + (" with changes" if git.get("dirty") else ""),
        started=environment.get("started", _UNKNOWN),
        format=exporter.name,
        parity=parity,
        resizing=resizing,
    )


def _template() -> jinja2.Template:
    jinja = jinja2.Environment(
        loader=jinja2.PackageLoader("heritage.exporters", "."),
        autoescape=True,
        finalize=_escaped,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    jinja.filters["counted"] = counted
    jinja.filters["code"] = lambda text: Markup(markdown_code(text))  # noqa: S704  Markdown
    return jinja.get_template("model_card.md.j2")


def _escaped(value: Any) -> Any:
    """Escape text for Markdown, except what is Markdown already."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup(markdown(value))  # noqa: S704  Markdown


def network_title(trained: TrainedClassifier) -> str:
    """Return the title of a network without one of its own: ``heritage`` and its architecture."""
    return f"heritage {_architecture(trained)}"


def _architecture(trained: TrainedClassifier) -> str:
    """Return timm's name, without the tag of pretrained weights if it did not start from them."""
    model = trained.config["model"]
    name = str(model.get("name") or target_name(model))
    return name if is_pretrained(model.get("weights")) else name.partition(".")[0]


def _properties(trained: TrainedClassifier, counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    config = trained.config
    parameters = parameter_count(trained.model.net)
    shown = sum(counts.get("shown", {}).values())
    size = trained.image_size
    return {
        "network": f"{_architecture(trained)}, {parameters:,} parameters",
        "input": f"RGB, {size}×{size}",
        "pretrained weights": _weights(trained),
        "training": counted(trained.epoch + 1, "epoch") + (f" of {counted(shown, 'image')}" if shown else ""),
        "seed": str(config["seed"]),
    }


def base_model(model: Mapping[str, Any], initial: InitialWeights | None = None) -> str | None:
    """Return the hub's name of the network whose weights training started from; None for other weights.

    Args:
        model: The section ``model`` of the run's configuration.
        initial: The pretrained weights of timm that the run started from, directly or through another run.

    Example:
        >>> base_model({"name": "tf_efficientnet_lite0.in1k", "weights": "imagenet"})
        'timm/tf_efficientnet_lite0.in1k'
        >>> base_model({"name": "resnet18.a1_in1k", "weights": "hf-hub:museum/vases@v1"})
        'museum/vases'
    """
    weights, name = model.get("weights"), str(model.get("name") or "")
    if is_hub_address(weights):
        return parse_address(str(weights), "model.weights").repository
    if initial is not None:
        return f"timm/{initial.name}"
    return f"timm/{name}" if is_pretrained(weights) and "." in name else None


def _weights(trained: TrainedClassifier) -> str:
    """Return initial weights without the folders of the machine, and the licence of timm's."""
    weights, initial = trained.config["model"].get("weights"), trained.initial_weights
    name = str(weights) if is_hub_address(weights) else Path(str(weights)).name
    if initial is None:
        return name
    start = initial.name if is_pretrained(weights) else f"{name}, trained from {initial.name}"
    return f"{start}; their licence: {initial.title} ({initial.link})"


def _data(
    trained: TrainedClassifier, manifest: Manifest | None, counts: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    root = Path(str(trained.config["data"]["root"])).name
    split = split_name(trained.config)
    how = "with the data set's own splits" if split == "given" else f"split by {markdown_code(split)}"
    missing = "" if manifest is not None else " It was not available when this card was written."
    return {
        "name": root,
        "civilisations": set(trained.classes) <= CIVILISATIONS.keys(),
        "description": f"{markdown_code(root)}, fingerprint `{trained.fingerprint[:12]}`, {how}.{missing}",
        "counts": {_COLUMNS.get(name, name): dict(by_class) for name, by_class in counts.items()},
        "licences": _tally(manifest, "licence"),
        "museums": _tally(manifest, "museum"),
    }


def _tally(manifest: Manifest | None, column: str) -> dict[str, int]:
    if manifest is None:
        return {}
    return dict(Counter(value for value in manifest.column(column) if value).most_common())


def _command(words: list[str]) -> str:
    """Return the command of a run, without folders of the machine it ran on."""
    arguments = [f"{word.partition('=')[0]}=…" if "/" in word else word for word in words[1:]]
    return " ".join(["heritage train", *arguments])


def _rare(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    train = counts.get("train", {})
    if not train:
        return []
    mean = sum(train.values()) / len(train)
    return [name for name, count in train.items() if count < _RARE * mean]


def _calibrated_views(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return temperature and threshold of each test-time augmentation that was calibrated."""
    if folder is None:
        return {}
    fitted = {tta: read_calibration(folder, tta) for tta in VIEWS if tta != "none"}
    return {
        tta: {"views": COUNTS[tta], "temperature": one.temperature, "threshold": one.threshold}
        for tta, one in fitted.items()
        if one is not None
    }


def _read(folder: Path | None, name: str) -> dict[str, Any]:
    return {} if folder is None else read_json(folder, name)
