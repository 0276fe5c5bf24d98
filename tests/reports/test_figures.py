"""Figures: legible for any number of classes and any name, as PNG and as PDF with embedded fonts."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure

from heritage.core.manifest import SPLITS
from heritage.core.option_types import FigureWidth
from heritage.core.taxonomy import CLASSES
from heritage.evaluation import embedding_map
from heritage.metrics.calibration import confidences, reliability, risk_coverage
from heritage.metrics.confusion import ConfusionMatrix
from heritage.reports import fonts
from heritage.reports.charts import coverage_figure, reliability_figure
from heritage.reports.figures import (
    confusion_figure,
    contact_sheet,
    counts_figure,
    curves_figure,
    range_test_figure,
)
from heritage.reports.histograms import histogram, histograms_figure
from heritage.reports.style import INCHES, display_columns, figure_style, label
from tests.reports import pdf_files
from tests.reports.figure_layout import require_legible

pytestmark = pytest.mark.usefixtures("drawn_figures")

NAMES = (
    "الحضارة الإسلامية في الأندلس",
    "秦漢時代の青銅器と陶磁器",
    "Vietnamese e\u0302\u0323 decomposed",
    "$x_1$ costs $5",
    "Mesoamerican and Andean civilisations of the Late Intermediate period, before contact",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen",
    "a",
    "Ἀθῆναι",
    r"\frac{a}{b}",
    "z\u0301\u0323 twice",
    "русский",
    "👩\u200d🚀",
)


Array = npt.NDArray[Any]


def classes(count: int) -> list[str]:
    """Return class names: the thesis's, then hostile ones."""
    if count <= len(CLASSES):
        return list(CLASSES[:count])
    return [*NAMES, *(f"{name} {k}" for k in range(3) for name in CLASSES)][:count]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """Collect and check the figures instead of writing them."""
    figures: list[Figure] = []

    def checked(figure: Figure, path: Path, title: str = "") -> list[Path]:
        require_legible(figure)
        figures.append(figure)
        return [path]

    for module in ("reports.figures", "reports.charts", "reports.histograms", "evaluation.embedding_map"):
        monkeypatch.setattr(f"heritage.{module}.write_figure", checked)
    yield figures
    assert figures, "no figure was drawn"


def probabilities(count: int, images: int = 300) -> tuple[Array, Array]:
    """Return targets and probabilities of a network that is mostly right."""
    random = np.random.default_rng(count)
    targets = np.arange(images) % count
    values = random.dirichlet(np.full(count, 0.3), images)
    values[np.arange(images), targets] += random.uniform(0, 2, images)
    return targets, values / values.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("count", "width"), [(2, "single"), (6, "single"), (6, "double"), (12, "single"), (30, "single")]
)
def test_confusion_matrices(drawn: list[Figure], tmp_path: Path, count: int, width: FigureWidth) -> None:
    targets, values = probabilities(count)
    confusion = ConfusionMatrix.of(targets, values.argmax(axis=1), classes(count))
    confusion_figure(confusion, tmp_path / "confusion.png", width)
    assert drawn[0].get_figwidth() <= INCHES[width] + (1.5 if count > 12 else 0.01)


@pytest.mark.parametrize(
    ("count", "width"), [(2, "single"), (6, "double"), (12, "single"), (30, "single"), (30, "double")]
)
def test_maps(
    drawn: list[Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, width: FigureWidth
) -> None:
    class Plane:
        def __init__(self, **options: object) -> None:
            self.options = options

        def fit_transform(self, features: Array) -> Array:
            return features[:, :2]

    monkeypatch.setattr(embedding_map, "TSNE", Plane)
    targets = np.arange(120) % count
    features = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    path = tmp_path / "map.png"
    embedding_map.draw_embedding_map(features, targets, classes(count), path, seed=0, width=width)
    [legend] = drawn[0].legends
    shown = [text.get_text().replace(r"\$", "$").replace("\n", " ") for text in legend.get_texts()]
    assert len(shown) == count
    assert shown[0].split(" ")[0] == classes(count)[0].split(" ")[0]


def test_charts_curves_and_range_tests(drawn: list[Figure], tmp_path: Path) -> None:
    targets, values = probabilities(6)
    before = reliability(values, targets)
    reliability_figure(before, None, tmp_path / "one.png")
    reliability_figure(before, reliability(values**2, targets), tmp_path / "two.png")
    curve = risk_coverage(*confidences(values, targets))
    coverage_figure(curve, 0.95, (0.5, 0.96), tmp_path / "coverage.png")
    coverage_figure(curve, None, None, tmp_path / "coverage.png")
    coverage_figure(curve, 0.99, (0.0, float("nan")), tmp_path / "coverage.png")
    history = [
        {"epoch": epoch, "train/loss": 1 / (epoch + 1), "val/loss": 2.0, "val/accuracy": 0.9,
         "val/macro_f1": 0.99, "lr": 1e-3} for epoch in range(12)
    ]  # fmt: skip
    values = np.random.default_rng(0).lognormal(7, 1, 500)
    parts = [histogram(f"{name} of the raw photograph", "pixels", values) for name in ("Side", "Size", "Sum")]
    histograms_figure(parts, tmp_path / "histograms.png")
    counts_figure(dict.fromkeys(classes(12), (5, 0, 1)), SPLITS, tmp_path / "counts.png")
    for width in INCHES:
        curves_figure(history, tmp_path / "curves.png", width)
    curves_figure(history[:1], tmp_path / "curves.png")
    range_test_figure(np.logspace(-6, 0).tolist(), np.linspace(2, 1).tolist(), 2e-3, tmp_path / "lr.png")
    assert len(drawn) == 11


def test_headings_and_title_of_a_contact_sheet(drawn: list[Figure], tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    rows = [(name, [picture] * 4) for name in NAMES[:2]]
    contact_sheet(rows, ["as stored", "integrated gradients", "", "copies"], "A $title$", tmp_path / "s.png")
    assert "A $title$" in require_legible(drawn[0])


@pytest.mark.parametrize(("count", "width"), [(2, "single"), (12, "double")])
def test_a_contact_sheet_fits_a_page(
    drawn: list[Figure], tmp_path: Path, count: int, width: FigureWidth
) -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    rows = [(name, [picture] * 2) for name in classes(count)]
    title = "Saliency maps of resnet10t on the test split of v2-1500x128-seed0"
    contact_sheet(rows, ["photograph", "Grad-CAM"], title, tmp_path / "s.png", width)
    assert drawn[0].get_figwidth() <= INCHES[width] + 0.01
    assert drawn[0].get_figheight() <= 9.7, "longer than a page"
    assert title in require_legible(drawn[0])


def test_pdfs_have_truetype_fonts_and_no_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["egyptian", "$x$", NAMES[0]]
    confusion = ConfusionMatrix(np.diag([3, 2, 1]), tuple(names))
    first, second = tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"
    with caplog.at_level(logging.INFO):
        for path in (first, second):
            confusion_figure(confusion, path)
    assert caplog.records == [], "embedding fonts is logged"
    pdf = first.with_suffix(".pdf")
    assert pdf.read_bytes() == second.with_suffix(".pdf").read_bytes()
    assert first.read_bytes() == second.read_bytes()
    assert b"CreationDate" not in pdf.read_bytes()
    assert b"/Title (Confusion matrix)" in pdf.read_bytes()
    found = pdf_files.fonts(pdf)
    assert found
    assert all(b"/Type3" not in font and b"/Type1" not in font for font in found)
    files = pdf_files.embedded_fonts(pdf)
    assert files
    assert all(struct.unpack(">I", file[:4])[0] == 0x00010000 for file in files), "not TrueType"
    assert pdf_files.page(pdf).count(b"Tj") + pdf_files.page(pdf).count(b"TJ") > 10, "text is not text"


def test_missing_characters_are_counted_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_fonts", list)
    monkeypatch.setattr(fonts, "_reported", set())
    fonts._families.cache_clear()
    with caplog.at_level(logging.WARNING), figure_style(["plain", "\U00012000\U00012001 x", "👩\u200d🚀"]):
        pass
    assert [record.message.partition(" of")[0] for record in caplog.records] == ["4 characters"]
    caplog.clear()
    with caplog.at_level(logging.WARNING), figure_style(["\U00012001", "e\u0302\u0323", NAMES[0]]):
        pass
    assert caplog.records == []
    assert fonts.missing_characters(["\U00012001a"]) == ["\U00012001"]
    fonts._families.cache_clear()


def test_other_installed_fonts_are_used_for_missing_characters() -> None:
    # STIX has mathematical letters that DejaVu Sans lacks
    others = set().union(*(fonts._known(path) for _, path in fonts._fonts())) - fonts._known(fonts._base())
    letter = min(letter for letter in others if letter.isalpha())
    families = fonts.font_families([letter])
    assert families[0] == "DejaVu Sans"
    assert len(families) == 2
    assert fonts.missing_characters([letter]) == []


@pytest.mark.parametrize("name", [*NAMES, "x" * 20_000, "a b " * 500, ""])
def test_labels_have_few_short_lines(name: str) -> None:
    lines = label(name).split("\n")
    assert len(lines) <= 3
    assert all(display_columns(line.replace(r"\$", "$")) <= 26 for line in lines)
    if display_columns(name) <= 26:
        assert "\n".join(lines).replace(r"\$", "$") == name


def test_long_words_are_broken_after_hyphens_and_slashes() -> None:
    assert label("Griechisch-Römische Töpferwäre", 18) == "Griechisch-\nRömische\nTöpferwäre"
    assert label("Hispano-/Maurische", 12) == "Hispano-/\nMaurische"
    assert label("a-b c", 18) == "a-b c"


def test_long_labels_keep_both_ends() -> None:
    one, other = (label(f"{'civilisation ' * 10}of the {end}") for end in ("north", "south"))
    assert one != other
    assert "…" in one
    assert one.endswith("north")
