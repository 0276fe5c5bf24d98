"""Exported networks, loaded by other runtimes and compared with PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import torch
from torch import nn

from heritage.core.image_io import encode_jpeg
from heritage.errors import ConfigError, ExportError
from heritage.exporters import formats
from heritage.exporters.card_metrics import card_metrics
from heritage.exporters.exporter import ExportSource
from heritage.exporters.formats.safetensors import SafetensorsExporter, as_timm
from heritage.exporters.parity import check_parity
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.models.normalize import NormalizedModel
from heritage.models.vit import VisionTransformer
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.audits import AuditResult, write_audits
from heritage.runs.files import AUDITS_FILE
from tests.conftest import Command, patch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnxscript")


def random_images(size: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8)


def test_onnx_runs_without_this_package_and_agrees_with_pytorch(
    heritage: Command, calibrated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    done = heritage("export", f"ckpt={calibrated}", "format=onnx", f"out={out}", "licence=CC-BY-4.0")
    assert done.code == 0, done.err
    assert "largest difference" in done.out
    images = random_images()
    np.save(tmp_path / "images.npy", images)
    script = (
        "import json, sys, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "about = session.get_modelmeta().custom_metadata_map\n"
        "_, probabilities = session.run(None, {'images': np.load(sys.argv[2])})\n"
        "assert 'torch' not in sys.modules\n"
        "print(json.dumps([about, probabilities.tolist()]))\n"
    )
    words = [sys.executable, "-c", script, str(out / "model.onnx"), str(tmp_path / "images.npy")]
    about, probabilities = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    trained = load_checkpoint(calibrated)
    with torch.inference_mode():
        expected = (trained.model(torch.from_numpy(images)) / 2.0).softmax(dim=1)
    torch.testing.assert_close(torch.tensor(probabilities), expected, atol=1e-5, rtol=0)
    assert json.loads(about["classes"]) == list(trained.classes)
    assert about["licence"] == "CC-BY-4.0"
    assert json.loads(about["calibration"])["temperature"] == 2.0


def test_a_program_of_torch_export_agrees_with_pytorch(
    heritage: Command, calibrated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    done = heritage("export", f"ckpt={calibrated}", "format=torch_export", f"out={out}")
    assert done.code == 0, done.err
    images = torch.from_numpy(random_images())
    probabilities = torch.export.load(out / "model.pt2").module()(images)[1]
    with torch.inference_mode():
        expected = (load_checkpoint(calibrated).model(images) / 2.0).softmax(dim=1)
    torch.testing.assert_close(probabilities, expected, atol=1e-5, rtol=0)


def test_timm_loads_the_folder_and_agrees_with_pytorch(
    heritage: Command, calibrated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    words = ("export", f"ckpt={calibrated}", "format=safetensors", f"out={out}")
    done = heritage(*words)
    assert done.code == 0, done.err
    assert "timm.create_model" in done.out
    assert "images resized by timm's own transform: largest difference" in done.out
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o666 & out.stat().st_mode}
    net = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    trained = load_checkpoint(calibrated)
    config = timm.data.resolve_model_data_config(net)
    assert config["input_size"] == (3, 32, 32)
    assert config["crop_mode"] == "squash"
    images = torch.from_numpy(random_images())
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        logits = net((images.permute(0, 3, 1, 2) / 255 - mean) / std)
        torch.testing.assert_close(logits, trained.model(images), atol=1e-4, rtol=0)
    assert net.pretrained_cfg["label_names"] == list(trained.classes)
    again = heritage(*words)
    assert again.code == 2
    assert "already exists" in again.err
    assert heritage(*words, "overwrite=true").code == 0


def test_the_model_card_states_the_metrics_of_the_run(
    heritage: Command, calibrated: Path, tmp_path: Path
) -> None:
    out, run = tmp_path / "exported", shutil.copytree(calibrated, tmp_path / "run")
    verdict = "It uses the centre; the border alone predicts hardly anything."
    write_audits(
        [AuditResult("background", "Background", verdict, "Measured by hiding parts.", good=True)], run
    )
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "vase.jpg").write_bytes(encode_jpeg(patch(0, 99, size=90)))
    words = ("format=safetensors", f"out={out}", "licence=CC-BY-4.0", f"pictures={tmp_path / 'own'}")
    assert heritage("export", f"ckpt={run}", *words).code == 0
    card = (out / "README.md").read_text()
    metrics = json.loads((calibrated / "metrics.json").read_text())
    assert "license: cc-by-4.0" in card
    assert f"| macro-F1 | {metrics['macro_avg']['f1']:.3f} (" in card
    assert f"| accuracy | {metrics['accuracy']:.3f} (" in card
    for name, scores in metrics["classes"].items():
        assert f"| F1 of {name} | {scores['f1']:.3f} (" in card
    assert "temperature 2" in card
    assert load_checkpoint(calibrated).fingerprint[:12] in card
    assert "records no licences" in card
    assert "on 1 image (own)" in card
    assert "The transform of timm resizes images differently from training" in card
    assert f"- **Background.** {verdict} Measured by hiding parts." in card
    assert str(tmp_path) not in card
    (run / AUDITS_FILE).write_text("[{}]")
    done = heritage("export", f"ckpt={run}", *words, "overwrite=true")
    assert done.code == 2
    assert "unreadable audits" in done.err


def test_classes_of_few_objects_get_no_interval(tmp_path: Path) -> None:
    table = {
        "class": ["egyptian"] * 6 + ["asian"] * 20,
        "predicted": ["egyptian"] * 6 + ["asian", "egyptian"] * 10,
        "group_id": [str(k // 3) for k in range(6)] + [f"a{k}" for k in range(20)],
    }
    pq.write_table(pa.table(table), tmp_path / "predictions.parquet")
    metrics = card_metrics(tmp_path, ("egyptian", "asian"))
    assert metrics is not None
    assert str(metrics.classes["egyptian"][0]) == "0.545 (too few objects for an interval)"
    assert str(metrics.classes["asian"][0]).startswith("0.667 (0.")


@pytest.mark.parametrize(
    ("pool", "positions", "layer_scale"), [("avg", "sincos", None), ("token", "learned", 0.1)]
)
def test_the_vision_transformer_is_exported_as_timms(
    run_folder: Path, tmp_path: Path, pool: str, positions: str, layer_scale: float | None
) -> None:
    trained = with_network(load_checkpoint(run_folder), vit(pool, positions, layer_scale, "linear"))
    exporter = SafetensorsExporter(ExportSource.of(trained, DecisionRule()))
    exporter.write(tmp_path)
    assert exporter.library == "timm"
    parity = check_parity(exporter.source.model, exporter.open(tmp_path), "noise", random_images())
    assert parity.same_class == 5
    assert parity.logits < 1e-4


def test_networks_that_timm_does_not_have_are_written_as_weights_only(
    run_folder: Path, tmp_path: Path
) -> None:
    trained = with_network(load_checkpoint(run_folder), vit("avg", "sincos", None, "conv"))
    assert as_timm(trained.model.net) is None
    exporter = SafetensorsExporter(ExportSource.of(trained, DecisionRule()))
    exporter.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert exporter.library == "heritage"
    assert exporter.messages(tmp_path) == [
        "timm does not have this network: the weights load into heritage.models only"
    ]
    parity = check_parity(exporter.source.model, exporter.open(tmp_path), "noise", random_images())
    assert parity.same_class == 5


@pytest.mark.parametrize("wrong", ["logits", "probabilities"])
def test_an_export_that_disagrees_is_refused(run_folder: Path, wrong: str) -> None:
    trained = load_checkpoint(run_folder)
    model = ExportSource.of(trained, DecisionRule(temperature=2.0)).model

    def other(
        images: npt.NDArray[np.uint8],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        with torch.inference_mode():
            logits, probabilities = (output.numpy() for output in model(torch.from_numpy(images)))
        if wrong == "logits":
            return logits[:, ::-1], None
        return logits, np.roll(probabilities, 1, axis=1)

    with pytest.raises(ExportError, match="predictions differ"):
        check_parity(model, other, "noise", random_images())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["format=tflite"],
            "format=tflite: no such format; use one of checkpoint, onnx, safetensors, torch_export",
        ),
        (["licence='free for all'"], "licence=free for all"),
        (["out={folder}"], "it is not an export: choose another folder"),
        (["pictures=nowhere"], "pictures=nowhere: no such image"),
        (["ckpt=nowhere"], "no such checkpoint"),
    ],
)
def test_wrong_input_ends_in_one_line(
    heritage: Command, run_folder: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    given = [word.format(folder=run_folder) for word in words]
    ckpt = [] if any(word.startswith("ckpt") for word in given) else [f"ckpt={run_folder}"]
    done = heritage("export", *ckpt, "format=safetensors", *given)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "outputs" / "export").exists() or not any((tmp_path / "outputs/export").iterdir())


TOY = '''"""The state dict of PyTorch, as a toy."""

from pathlib import Path

import torch

from heritage.exporters.exporter import Exporter, PredictFunction


class ToyExporter(Exporter):
    """Pickles the network."""

    name = "toy"

    def write(self, folder: Path) -> None:
        """Write it."""
        torch.save(self.source.model, folder / "toy.pt")

    def open(self, folder: Path) -> PredictFunction:
        """Read it."""
        model = torch.load(folder / "toy.pt", weights_only=False)
        return lambda images: tuple(output.detach().numpy() for output in model(torch.from_numpy(images)))

    def usage(self) -> str:
        """Return how."""
        return "Open `toy.pt` with the toy."

    def messages(self, folder: Path) -> list[str]:
        """Return the name of the file."""
        return [f"play with {folder / 'toy.pt'}"]
'''


def test_a_new_format_is_one_file(
    heritage: Command, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command, its help, its messages and the model card follow."""
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "toy.py").write_text(TOY)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "formats")])
    text = heritage("export", "--help").out
    assert "== Formats ==" in text
    assert "toy: The state dict of PyTorch, as a toy." in text
    assert "onnx: ONNX Runtime, in any language" in text
    out = tmp_path / "exported"
    try:
        done = heritage("export", f"ckpt={run_folder}", "format=toy", f"out={out}")
    finally:
        sys.modules.pop("heritage.exporters.formats.toy", None)
        vars(formats).pop("toy", None)
    assert done.code == 0, done.err
    assert f"play with {out / 'toy.pt'}" in done.out
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "heritage.json", "toy.pt"]
    card = (out / "README.md").read_text()
    assert "Open `toy.pt` with the toy." in card
    assert "Exported as toy; compared" in card


def test_every_format_has_an_exporter_and_a_summary() -> None:
    for name, summary in formats.format_summaries().items():
        exporter = formats.load_exporter(name)
        assert exporter.name == name
        assert summary.endswith(".")
    with pytest.raises(ConfigError, match="format=tflite: no such format; use one of checkpoint, onnx"):
        formats.load_exporter("tflite")


def test_a_missing_extra_is_named(
    heritage: Command, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = heritage("export", f"ckpt={run_folder}", "format=onnx")
    assert done.code == 2
    assert "pip install 'heritage[export]'" in done.err


def with_network(trained: TrainedClassifier, net: nn.Module) -> TrainedClassifier:
    return TrainedClassifier(
        trained.file,
        trained.folder,
        NormalizedModel(net).eval(),
        trained.classes,
        trained.fingerprint,
        trained.config,
        0,
        trained.training_images,
    )


def vit(pool: str, positions: str, layer_scale: float | None, stem: str) -> VisionTransformer:
    torch.manual_seed(0)
    net = VisionTransformer(
        image_size=32, patch_size=8, width=24, depth=2, heads=3, mlp_ratio=2.0, num_classes=6,
        pool=pool, positions=positions, stem=stem,  # type: ignore[arg-type]
        dropout=0.0, drop_path=0.0, layer_scale=layer_scale,
    )  # fmt: skip
    nn.init.normal_(net.head.weight)
    return net
