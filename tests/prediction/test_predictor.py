"""`heritage.load`: predictions, embeddings and explanations of images in any form."""

from __future__ import annotations

import io
import pickle
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from heritage.core.image_io import decode
from heritage.errors import ArgumentError, CheckpointError, ConfigError, ImageError
from heritage.metrics.calibration import Calibration, FittedOn
from heritage.prediction import Predictions, Predictor, load
from heritage.prediction.decision_rule import DecisionRule
from tests.conftest import Command, patch

BAD = {"cut.jpg", "empty.png", "text.jpg"}


@pytest.fixture(scope="module")
def predictor(calibrated: Path) -> Predictor:
    return load(calibrated, device="cpu")


class Stream:
    """A file that can be read once, such as an HTTP response."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


def files_of(photographs: Path) -> list[Path]:
    return [path for path in sorted(photographs.rglob("*")) if path.suffix in {".jpg", ".png"}]


def closed() -> io.BytesIO:
    file = io.BytesIO(b"")
    file.close()
    return file


def png(pixels: Any, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG")
    return file.getvalue()


def test_predictions_are_those_of_the_command(
    heritage: Command, predictor: Predictor, calibrated: Path, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.parquet"
    words = ("top_k=6", "embeddings=true", f"out={out}", "device=cpu")
    assert heritage("predict", f"ckpt={calibrated}", f"input={photographs}", *words).code == 0
    rows = pq.read_table(out).to_pylist()
    paths = [photographs / row["file"] for row in rows]
    predictions = predictor.predict(paths)
    embeddings = predictor.embed(paths)
    assert len(predictions) == len(rows) == 9
    for row, prediction, embedding in zip(rows, predictions, embeddings, strict=True):
        assert prediction.name == Path(row["file"]).name
        assert prediction.error == row["error"]
        if row["error"]:
            assert prediction.label is None
            assert prediction.unsure
            assert np.isnan(prediction.confidence)
            assert np.isnan(embedding).all()
            continue
        ranking = {name: round(value, 6) for name, value in prediction.probabilities.items()}
        assert list(ranking.items()) == [(row[f"class_{k}"], row[f"probability_{k}"]) for k in range(1, 7)]
        assert prediction.label == row["class_1"]
        assert prediction.unsure == row["unsure"]
        assert row["prediction"] == ("unsure" if prediction.unsure else prediction.label)
        assert embedding.tolist() == row["embedding"]
        alone = predictor.predict(photographs / row["file"])
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)


def test_every_form_of_an_image_gives_the_same_prediction(predictor: Predictor, photographs: Path) -> None:
    path = photographs / "1.jpg"
    pixels = decode(path.read_bytes())
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    data = path.read_bytes()
    at_end = io.BytesIO(data)
    at_end.seek(0, io.SEEK_END)
    forms: list[Any] = [
        str(path), path, data, bytearray(data), memoryview(data), io.BytesIO(data), at_end, Stream(data),
        Image.fromarray(pixels), pixels, tensor,
    ]  # fmt: skip
    expected = predictor.predict(path)
    for form in forms:
        if isinstance(form, Stream):
            form = Stream(data)
        prediction = predictor.predict(form)
        assert prediction.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
        assert prediction.name == ("1.jpg" if isinstance(form, (str, Path)) else None)
    several = predictor.predict(forms)
    assert several.labels == [expected.label] * len(forms)
    with Image.open(path) as opened:
        assert predictor.predict(opened).name == "1.jpg"
    with path.open("rb") as file:
        assert predictor.predict(file) == expected
        assert predictor.explain(file).name == "1.jpg"
    stream: Any = Stream(data)
    assert predictor.explain(stream).label == expected.label, "a file that can be read only once"


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        pytest.param(patch(1, 5)[:, :, 0], None, id="grey"),
        pytest.param(patch(1, 5)[:, :, :1], "L", id="one-channel"),
        pytest.param(np.dstack([patch(1, 5), patch(2, 7)[:, :, 0]]), None, id="rgba"),
    ],
)
def test_grey_and_transparent_arrays_are_handled_as_files_are(
    predictor: Predictor, pixels: np.ndarray[Any, np.dtype[np.uint8]], mode: str | None
) -> None:
    file = png(pixels[:, :, 0] if mode == "L" else pixels)
    expected = predictor.predict(file).probabilities
    assert predictor.predict(pixels).probabilities == expected
    assert predictor.predict(Image.open(io.BytesIO(file))).probabilities == expected
    channels_first = torch.from_numpy(pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())
    assert predictor.predict(channels_first).probabilities == expected


def test_the_orientation_of_a_pillow_image_is_applied_and_the_image_unchanged(predictor: Predictor) -> None:
    image = Image.fromarray(patch(0, 3)[:, :20].copy())
    exif = image.getexif()
    exif[274] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert predictor.predict(opened).probabilities == predictor.predict(file.getvalue()).probabilities
    assert opened.size == (20, 40)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("nowhere.jpg", "nowhere.jpg: no such file or directory; check the path"),
        (b"no picture", "image: not a picture of a known format"),
        (np.zeros((4, 4, 3)), "an array of float64; give uint8 values from 0 to 255"),
        (np.zeros((3, 40, 40), np.uint8), "an array of shape (3, 40, 40); give (H, W)"),
        (np.zeros((0, 4, 3), np.uint8), "an array of shape (0, 4, 3)"),
        (np.zeros((2, 8, 8, 3), np.uint8), "several images as a list"),
        (torch.zeros(3, 8, 8), "a tensor of float32"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), "a tensor of shape (8, 8, 3); give (H, W) or (C, H, W)"),
        (Image.new("RGB", (0, 4)), "image: an image without pixels"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg: a URL, and images are read from files"),
        ("data:image/png;base64," + "A" * 9000, "A: a URL, and images are read from files; download it"),
        (np.array(["a.jpg"]), "an array of texts or objects; give several images as a list"),
        (io.StringIO("text"), 'a file opened as text; open it with mode "rb"'),
        (closed(), "cannot be read (I/O operation on closed file); give one that is open for reading"),
    ],
)
def test_an_unreadable_image_raises_alone_and_keeps_its_place_in_a_list(
    predictor: Predictor, image: Any, message: str
) -> None:
    for method in (predictor.predict, predictor.embed, predictor.explain):
        with pytest.raises(ImageError) as caught:
            method(image)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    predictions = predictor.predict([patch(0, 1), image, patch(1, 1)])
    assert [entry.error is None for entry in predictions] == [True, False, True]
    assert list(predictions.errors) == [1]
    assert predictions[1].error == caught.value.what
    assert np.isnan(predictions.probabilities[1]).all()
    assert not np.isnan(predictions.probabilities[[0, 2]]).any()


def test_other_types_are_type_errors(predictor: Predictor) -> None:
    values: list[Any] = [3, None, {"a": "b.jpg"}]
    for value in values:
        with pytest.raises(TypeError, match="cannot read an image from"):
            predictor.predict(value)
        with pytest.raises(TypeError, match="cannot read an image from"):
            predictor.predict([patch(0, 0), value])


def test_nothing_gives_empty_results(predictor: Predictor) -> None:
    predictions = predictor.predict([])
    assert len(predictions) == 0
    assert predictions.probabilities.shape == (0, 6)
    assert repr(predictions) == "Predictions(0 images)"
    assert predictor.embed([]).shape == (0, predictor.embedding_width())
    with pytest.raises(ConfigError, match="batch_size=0"):
        predictor.predict([patch(0, 0)], batch_size=0)


def test_iterables_are_streamed(predictor: Predictor) -> None:
    """Few images are alive at a time, and each is converted before the next is requested."""
    alive: list[weakref.ref[Any]] = []
    most = 0
    buffer = np.zeros((40, 40, 3), np.uint8)

    def frames() -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
        nonlocal most
        for k in range(60):
            frame = np.array(patch(k % 6, k))
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            most = max(most, sum(reference() is not None for reference in alive))

    def one_buffer() -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
        for k in range(60):
            buffer[:] = patch(k % 6, k)
            yield buffer

    predictions = predictor.predict(frames(), batch_size=8)
    assert most <= 4
    assert len(predictions) == 60
    np.testing.assert_array_equal(
        predictor.predict(one_buffer(), batch_size=8).probabilities, predictions.probabilities
    )


def test_a_long_list_shows_progress(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    advanced: list[int] = []
    monkeypatch.setattr(
        "heritage.prediction.predictor.Progress.advance", lambda self, count: advanced.append(count)
    )
    predictor.predict([photographs / "0.jpg"] * 8, batch_size=2)
    assert advanced == []
    predictor.predict([photographs / "0.jpg"] * 9, batch_size=2)
    assert advanced == [2, 2, 2, 2, 1]


def test_predictions_are_a_sequence(predictor: Predictor, photographs: Path) -> None:
    predictions = predictor.predict(files_of(photographs))
    assert isinstance(predictions[2:4], Predictions)
    assert predictions[2:4].names == predictions.names[2:4]
    assert predictions[-1] == list(predictions)[-1]
    readable = predictions[:3]
    assert readable == pickle.loads(pickle.dumps(readable))  # noqa: S301  our own
    assert sum(predictions.counts().values()) + len(predictions.errors) == len(predictions)
    assert {predictions.names[k] for k in predictions.errors} == BAD
    order = [predictions.classes.index(name) for name in predictions[0].probabilities]
    np.testing.assert_array_equal(
        predictions.probabilities[0][order], list(predictions[0].probabilities.values())
    )


def test_representations_are_one_line_and_name_what_is_unreadable(
    predictor: Predictor, photographs: Path
) -> None:
    long = photographs / f"{'x' * 120}\n.jpg"
    long.write_bytes(b"")
    predictions = predictor.predict([*files_of(photographs), long])
    for value in (predictor, predictions, *predictions, predictor.explain(photographs / "0.jpg")):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 160, repr(value)
    assert "5 unreadable: 'cut.jpg', 'empty.png', 'text.jpg', …" in repr(predictions)
    assert repr(predictions[0]).startswith("Prediction(")
    assert repr(predictions[0]).endswith("%, '0.jpg')")
    assert "32×32 px, cpu; calibrated with temperature 2; unsure below 50.0 % probability" in repr(predictor)


def test_the_representation_of_a_predictor_that_is_always_unsure_is_short(predictor: Predictor) -> None:
    few = FittedOn("val", 7, "0" * 64, 7)
    rule = DecisionRule.of(Calibration(0.0945, None, 0.95, few, 0.3, 0.2))
    assert "too few" in str(rule)
    text = repr(Predictor(predictor.trained, rule, device="cpu"))
    assert text.endswith("; temperature 0.0945, calibration unknown; always unsure)")
    assert len(text) < 160


def test_html_has_images_and_escapes_names(predictor: Predictor, photographs: Path) -> None:
    evil = photographs / "<img src=x onerror=alert(1) &.jpg"
    evil.write_bytes((photographs / "0.jpg").read_bytes())
    images: list[Any] = [evil, photographs / "cut.jpg", patch(0, 0), *[patch(1, 1)] * 40]
    predictions = predictor.predict(images)
    page = predictions._repr_html_()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1) &amp;.jpg" in page
    assert page.count("data:image/jpeg;base64,") == 23, "the first 24 but for the unreadable one"
    assert "… and 19 more" in page
    assert "unreadable: " in predictions[1]._repr_html_()
    evil.unlink()
    assert "data:" not in predictions[0]._repr_html_()
    explained = predictor.explain(photographs / "0.jpg")._repr_html_()
    assert explained.count("data:image/jpeg;base64,") == 2


@pytest.mark.parametrize("method", ["auto", "occlusion", "gradcam"])
def test_an_explanation_has_the_size_of_the_image(
    predictor: Predictor, photographs: Path, method: Any
) -> None:
    image = np.concatenate([patch(0, 1, size=90), patch(1, 2, size=90)])
    explanation = predictor.explain(image, method=method)
    assert explanation.saliency.shape == (180, 90)
    assert explanation.saliency.dtype == np.float32
    assert explanation.overlay.size == (90, 180)
    assert 0 <= explanation.saliency.min() <= explanation.saliency.max() <= 1
    assert explanation.label == predictor.predict(image).label
    assert explanation.method == ("gradcam" if method == "auto" else method)
    assert predictor.explain(image, label="islam", method=method).label == "islam"


def test_saliency_of_a_central_crop_is_zero_outside(calibrated: Path) -> None:
    predictor = load(calibrated, device="cpu")
    predictor.trained.config["data"]["crop_pct"] = 0.5
    strength = predictor.explain(patch(0, 1, size=80), method="occlusion").saliency
    assert strength[:20].max() == strength[60:].max() == strength[:, :20].max() == strength[:, 60:].max() == 0


def test_load_takes_options_and_refuses_wrong_ones(calibrated: Path, tmp_path: Path) -> None:
    image = patch(3, 3)
    assert not load(calibrated, threshold=0).predict(image).unsure
    assert load(calibrated, threshold=1.0).predict(image).unsure
    plain, flipped = load(calibrated).predict(image), load(calibrated, tta="flip").predict(image)
    assert plain.probabilities != flipped.probabilities
    with pytest.raises(CheckpointError):
        load(tmp_path / "nowhere")
    for options, message in (
        ({"device": "tpu"}, "device=tpu: there is no such device; use one of auto, cpu"),
        ({"tta": "often"}, "tta=often"),
        ({"threshold": 2}, "threshold=2: not a probability"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(calibrated, **options)
        assert message in str(caught.value)
    with pytest.raises(ConfigError, match="label=maya"):
        load(calibrated).explain(image, label="maya")


def test_several_images_are_explained_as_they_are_predicted(predictor: Predictor, photographs: Path) -> None:
    files = [photographs / name for name in ("0.jpg", "cut.jpg", "1.jpg")]
    explanations = predictor.explain(iter(files), label="islam")
    assert [one.name for one in explanations] == ["0.jpg", "cut.jpg", "1.jpg"]
    assert [one.label for one in explanations] == ["islam", None, "islam"]
    np.testing.assert_array_equal(
        explanations[2].saliency, predictor.explain(files[2], label="islam").saliency
    )
    bad = explanations[1]
    assert bad.error is not None
    assert bad.saliency.shape == bad.overlay.size == (0, 0)
    assert repr(bad).startswith("Explanation(error: ")
    assert "unreadable" in bad._repr_html_()
    assert predictor.explain([]) == []
    with pytest.raises(ConfigError, match="label=maya"):
        predictor.explain([], label="maya")
    with pytest.raises(ConfigError, match="method=guess"):
        predictor.explain(files[0], method="guess")  # type: ignore[call-overload]
    with pytest.raises(ArgumentError, match=r"list\(images.values\(\)\)"):
        predictor.explain({"a": files[0]})


def test_predictions_of_unreadable_images_are_equal_to_themselves(
    predictor: Predictor, photographs: Path
) -> None:
    files = files_of(photographs)
    first, second = predictor.predict(files), predictor.predict(files)
    assert first.errors
    assert first == second == pickle.loads(pickle.dumps(first))  # noqa: S301  our own
    assert first != predictor.predict(files[::-1])
    assert first[0] != first[1]
    assert first[0] != "0.jpg"


def test_the_network_behind_a_predictor_is_shown_in_one_line(predictor: Predictor) -> None:
    assert repr(predictor.trained).startswith("TrainedClassifier(resnet10t")
    assert len(repr(predictor.trained)) < 160
