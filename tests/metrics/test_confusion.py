"""The confusion matrix in a console and in a notebook."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.metrics.confusion import ConfusionMatrix


def matrix(classes: tuple[str, ...] = ("asian", "islam")) -> ConfusionMatrix:
    return ConfusionMatrix.of(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), classes)


def test_it_counts_targets_by_predictions() -> None:
    assert matrix().counts.tolist() == [[2, 1], [0, 1]]
    assert matrix().fractions.ravel().tolist() == pytest.approx([2 / 3, 1 / 3, 0, 1])
    assert matrix().scores.accuracy == 0.75


def test_its_repr_is_a_line() -> None:
    assert repr(matrix()) == "ConfusionMatrix(2 classes, 4 images, accuracy=0.750)"


def test_its_html_is_a_table_with_escaped_names() -> None:
    page = matrix(("<b>asian</b>", "islam"))._repr_html_()
    assert page.startswith("<table>")
    assert "<b>asian" not in page
    assert page.count("&lt;b&gt;asian&lt;/b&gt;") == 2
    assert ">2<br><small>67 %</small>" in page


def test_a_class_without_images_has_empty_fractions() -> None:
    empty = ConfusionMatrix(np.array([[2, 0], [0, 0]]), ("a", "b"))
    assert empty.fractions[1].tolist() == [0, 0]
