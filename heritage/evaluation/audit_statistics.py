"""Statistics of the audits: shortcuts by museum or background, and leaks between training and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from heritage.core.museums import Museum, museum_of
from heritage.core.numbers import percent
from heritage.metrics.bootstrap import confusion_terms, group_codes, interval, resampled_sums
from heritage.metrics.classification import ConfusionScores
from heritage.runs.audits import AuditResult
from heritage.runs.read_predictions import FinishedRun

Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[np.int64]

_MIN_GROUPS = 10  # of a museum in a class for a probe
_FOLDS = 5
_ABOVE_CHANCE = 0.1  # balanced accuracy above chance from which features identify the museum


def museum_audit(
    features: Floats,
    targets: Targets,
    museums: Sequence[str | None],
    groups: Sequence[str],
    classes: Sequence[str],
    described: Mapping[str, Museum] | None = None,
) -> AuditResult:
    """Measure whether the frozen features identify an image's museum *within* a class.

    A linear probe predicts the museum under cross-validation over groups; its balanced accuracy is compared
    with chance, one over the number of museums. For each ordered pair of museums that share at least two
    classes, another probe is fitted to predict the class on the one museum and tested on the other.

    Args:
        features: Feature vectors, (N, D).
        targets: Shape (N,).
        museums: Museum codes, length N; None if unknown.
        groups: The group of each image, length N.
        classes: The class list, K.
        described: The museums that the data set describes, by code.
    """
    codes = np.array([code or "unknown" for code in museums], dtype=object)
    names = sorted(set(codes.tolist()))
    table = [[name, *(f"{int(((targets == k) & (codes == code)).sum()):,}" for code in names)]
             for k, name in enumerate(classes)]  # fmt: skip
    head = ["class", *(museum_of(code, described).name for code in names)]
    if len(names) == 1:
        return AuditResult(
            "museum", "Museum shortcut", "Not measurable: all images come from one museum.",
            "The network cannot use the museum as a shortcut here, and its accuracy on photographs of other "
            "museums is unknown.",
            good=False, head=head, rows=table, record={"museums": names},
        )  # fmt: skip
    within = _within_classes(features, targets, codes, np.asarray(groups, dtype=object), classes)
    across = _across_museums(features, targets, codes, names)
    record = {
        "museums": names,
        "within": {name: {"told": value, "chance": chance} for name, value, chance in within},
        "across": across,
    }
    single = [name for k, name in enumerate(classes) if len(set(codes[targets == k].tolist())) == 1]
    words = ""
    if single:
        words += f"All photographs of {', '.join(single)} come from one museum, so the effects of museum and "
        words += "class cannot be separated there. "
    if across:
        words += "Balanced accuracy of a probe for the class, fitted on one museum and tested on another: "
        found = (f"{a} → {b} {percent(value, 0)} (chance {percent(low, 0)})" for a, b, value, low in across)
        words += ", ".join(found) + ". "
    if not within:
        return AuditResult("museum", "Museum shortcut", "Museum and class cannot be separated.",
                     words + "No class has enough photographs of two museums.", good=False, head=head,
                     rows=table, record=record)  # fmt: skip
    accuracy, chance = (float(np.mean([row[column] for row in within])) for column in (1, 2))
    listed = "; ".join(
        f"{name} {percent(value, 0)} (chance {percent(low, 0)})" for name, value, low in within
    )
    identified = accuracy > chance + _ABOVE_CHANCE
    verdict = (
        "The features identify the museum." if identified else "The features hardly identify the museum."
    )
    words += f"Balanced accuracy of a probe for the museum within each class: {listed}. Features of the "
    words += "artefact alone would give chance."
    return AuditResult(
        "museum", "Museum shortcut", verdict, words, good=not identified, head=head, rows=table, record=record
    )


def _within_classes(
    features: Floats,
    targets: Targets,
    codes: npt.NDArray[np.object_],
    groups: npt.NDArray[np.object_],
    classes: Sequence[str],
) -> list[tuple[str, float, float]]:
    """Return class, balanced accuracy of a probe for the museum, and chance."""
    results = []
    for k, name in enumerate(classes):
        rows = np.flatnonzero(targets == k)
        per_museum = {code: len(set(groups[rows[codes[rows] == code]])) for code in set(codes[rows].tolist())}
        kept = sorted(code for code, count in per_museum.items() if count >= _MIN_GROUPS)
        if len(kept) < 2:
            continue
        rows = rows[np.isin(codes[rows].astype(str), kept)]
        museums = codes[rows].astype(str)
        predicted = cross_val_predict(
            _probe(), features[rows], museums, groups=groups[rows], cv=GroupKFold(_FOLDS)
        )
        results.append((name, float(balanced_accuracy_score(museums, predicted)), 1 / len(kept)))
    return results


def _across_museums(
    features: Floats, targets: Targets, codes: npt.NDArray[np.object_], names: Sequence[str]
) -> list[tuple[str, str, float, float]]:
    """Return fitted and tested museum, balanced accuracy of a probe for the class, and chance."""
    results = []
    for first in names:
        for second in names:
            of_first, of_second = codes == first, codes == second
            shared = sorted(set(targets[of_first].tolist()) & set(targets[of_second].tolist()))
            if first == second or len(shared) < 2:
                continue
            fit, test = (rows & np.isin(targets, shared) for rows in (of_first, of_second))
            predicted = _probe().fit(features[fit], targets[fit]).predict(features[test])
            accuracy = float(balanced_accuracy_score(targets[test], predicted))
            results.append((first, second, accuracy, 1 / len(shared)))
    return results


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, class_weight="balanced"))


def background_audit(
    targets: Targets,
    unmasked: Targets,
    centre_masked: Targets,
    border_masked: Targets,
    groups: Sequence[str],
    *,
    classes: int,
    resamples: int,
) -> AuditResult:
    """Compare the accuracy with the centre masked and with the border masked.

    Args:
        targets: Shape (N,).
        unmasked: Predictions for the whole images, (N,).
        centre_masked: Predictions with the central half of the area in grey, (N,).
        border_masked: Predictions with the other half in grey, (N,).
        groups: The group of each image, length N.
        classes: Number of classes, K.
        resamples: Number of resamples of groups for the intervals.
    """
    correct = np.column_stack(
        [predicted == targets for predicted in (unmasked, centre_masked, border_masked)]
    )
    values = correct.mean(axis=0).tolist()
    terms = np.column_stack([correct, np.ones(len(correct))]).astype(np.float64)
    sums = resampled_sums(terms, group_codes(groups), resamples, 0)
    drawn = sums[:, :3] / sums[:, 3:]
    bounds = [interval(column) for column in drawn.T]
    gap = interval(drawn[:, 2] - drawn[:, 1])
    counts = np.bincount(targets, minlength=classes)
    common = float(counts.max() / counts.sum())
    if gap.high < 0:
        verdict = "The network relies more on the border than on the centre."
    elif gap.low <= 0:
        verdict = "The network relies on centre and border about equally."
    elif bounds[1].low > common:
        verdict = "The network relies mostly on the centre, but the border alone is informative, too."
    else:
        verdict = "The network relies on the centre; the border alone is hardly informative."
    without_centre, without_border, whole = (
        f"{percent(value)} (95 % {percent(some.low)} to {percent(some.high)})"
        for value, some in zip(
            (values[1], values[2], values[0]), (bounds[1], bounds[2], bounds[0]), strict=True
        )
    )
    words = (
        f"Accuracy with the centre masked: {without_centre}; with the border masked: {without_border}; "
        f"unmasked: {whole}; of always predicting the most frequent class: {percent(common)}. Centre and "
        "border are half of the image's area each. If the artefact fills the image, the border shows "
        "artefact, too."
    )
    names = ("whole", "centre_hidden", "border_hidden")
    record = dict(zip(names, values, strict=True)) | {
        "most_common": common,
        "intervals": {name: [some.low, some.high] for name, some in zip(names, bounds, strict=True)},
    }
    return AuditResult("background", "Background", verdict, words, good=gap.low > 0, record=record)


def leak_audit(by_group: FinishedRun, by_image: FinishedRun, resamples: int) -> AuditResult:
    """Compare the accuracy of a run split by group with a run of equal settings split by image.

    Args:
        by_group: The run whose test set shares no group with its training set.
        by_image: The run split by image.
        resamples: Number of resamples of groups for the interval of the difference.
    """
    drawn, values = [], []
    for seed, run in enumerate((by_group, by_image)):
        terms = confusion_terms(run.targets, run.predicted, len(run.classes))
        sums = resampled_sums(terms, group_codes(run.groups), resamples, seed)
        drawn.append(ConfusionScores(sums.reshape(-1, len(run.classes), len(run.classes))).accuracy)
        values.append(float(run.correct.mean()))
    bounds = interval(drawn[1] - drawn[0])
    gain = values[1] - values[0]
    significant = bounds.low > 0
    verdict = (
        f"Splitting by image inflates accuracy by {percent(gain, signed=True)}."
        if significant
        else "No leak is measurable."
    )
    difference, low, high = (percent(value, signed=True) for value in (gain, bounds.low, bounds.high))
    words = (
        f"Accuracy with equal settings: {percent(values[1])} when split by image, as in the thesis, and "
        f"{percent(values[0])} when all views of an object are in one split (difference {difference}, 95 % "
        f"{low} to {high}). Only the latter estimates the accuracy on new objects."
    )
    record = {"by_group": values[0], "by_image": values[1], "difference": gain,
              "interval": [bounds.low, bounds.high]}  # fmt: skip
    return AuditResult("leak", "Leak", verdict, words, good=not significant, record=record)
