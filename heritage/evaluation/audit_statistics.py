"""Does a network know civilisations, or museums, backgrounds and views it has seen before?"""

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
from heritage.metrics.bootstrap import (
    confusion_scores,
    confusion_terms,
    group_codes,
    interval,
    resampled_sums,
)
from heritage.runs.audits import AuditResult
from heritage.runs.finished import FinishedRun

Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[np.int64]

_LEAST_GROUPS = 10  # of each museum in a class, for a probe to mean something
_FOLDS = 5
_TELLS = 0.1  # above chance, from which features are said to tell the museum
_DROP = 0.05  # of accuracy that counts as one


def museum_shortcut(
    features: Floats,
    targets: Targets,
    museums: Sequence[str | None],
    groups: Sequence[str],
    classes: Sequence[str],
    described: Mapping[str, Museum] | None = None,
) -> AuditResult:
    """Ask whether the network's frozen features tell the museum of an image *within* a class.

    A linear probe is fitted on some groups and asked about others; balanced accuracy, so that chance is one
    over the number of museums. Where two museums share two classes or more, a probe for the class is
    fitted on the one and asked about the other.

    Args:
        features: Of each image, (N, D).
        targets: Shape (N,).
        museums: Codes, length N; None where it is not known.
        groups: Length N.
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
            "museum", "Museum shortcut", "Nothing can be said: there is one museum.",
            "All images come from it, so the network cannot tell civilisations by museums here; nor is "
            "anything known of how it does on another museum's photographs.",
            good=False, head=head, rows=table, record={"museums": names},
        )  # fmt: skip
    within = _told_within(features, targets, codes, np.asarray(groups, dtype=object), classes)
    across = _across(features, targets, codes, names)
    record = {
        "museums": names,
        "within": {n: {"told": t, "chance": c} for n, t, c in within},
        "across": across,
    }
    alone = [name for k, name in enumerate(classes) if len(set(codes[targets == k].tolist())) == 1]
    words = ""
    if alone:
        words += (
            f"All photographs of {', '.join(alone)} come from one museum: there the museum's style and the "
        )
        words += "class cannot be told apart. "
    if across:
        words += "A probe for the class, fitted on one museum's photographs, is right on another's: "
        words += ", ".join(f"{a} → {b} {value:.0%} (chance {low:.0%})" for a, b, value, low in across) + ". "
    if not within:
        return AuditResult("museum", "Museum shortcut", "Museum and class cannot be separated.",
                     words + "No class has enough photographs of two museums.", good=False, head=head,
                     rows=table, record=record)  # fmt: skip
    told, chance = (float(np.mean([one[place] for one in within])) for place in (1, 2))
    said = "; ".join(f"{name} {value:.0%} (chance {low:.0%})" for name, value, low in within)
    tells = told > chance + _TELLS
    verdict = "The features tell the museum." if tells else "The features hardly tell the museum."
    words += f"Within a class, what the network sees of a photograph tells its museum so often: {said}. "
    words += "A network that looks at artefacts alone would be at chance."
    return AuditResult(
        "museum", "Museum shortcut", verdict, words, good=not tells, head=head, rows=table, record=record
    )


def _told_within(
    features: Floats,
    targets: Targets,
    codes: npt.NDArray[np.object_],
    groups: npt.NDArray[np.object_],
    classes: Sequence[str],
) -> list[tuple[str, float, float]]:
    found = []
    for k, name in enumerate(classes):
        rows = np.flatnonzero(targets == k)
        per_museum = {code: len(set(groups[rows[codes[rows] == code]])) for code in set(codes[rows].tolist())}
        kept = sorted(code for code, count in per_museum.items() if count >= _LEAST_GROUPS)
        if len(kept) < 2:
            continue
        rows = rows[np.isin(codes[rows].astype(str), kept)]
        said = cross_val_predict(_probe(), features[rows], codes[rows].astype(str), groups=groups[rows],
                                 cv=GroupKFold(_FOLDS))  # fmt: skip
        told = balanced_accuracy_score(codes[rows].astype(str), said)
        found.append((name, float(told), 1 / len(kept)))
    return found


def _across(
    features: Floats, targets: Targets, codes: npt.NDArray[np.object_], names: Sequence[str]
) -> list[tuple[str, str, float, float]]:
    found = []
    for first in names:
        for second in names:
            mine, theirs = codes == first, codes == second
            shared = sorted(set(targets[mine].tolist()) & set(targets[theirs].tolist()))
            if first == second or len(shared) < 2:
                continue
            fit, ask = (side & np.isin(targets, shared) for side in (mine, theirs))
            said = _probe().fit(features[fit], targets[fit]).predict(features[ask])
            found.append((first, second, float(balanced_accuracy_score(targets[ask], said)), 1 / len(shared)))
    return found


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, class_weight="balanced"))


def background(
    targets: Targets,
    whole: Targets,
    centre_hidden: Targets,
    border_hidden: Targets,
    groups: Sequence[str],
    *,
    classes: int,
    resamples: int,
) -> AuditResult:
    """Compare accuracy with the centre hidden and with the border hidden.

    Args:
        targets: Shape (N,).
        whole: Predictions on the pictures as they are, (N,).
        centre_hidden: Predictions with the central half of the area in grey, (N,).
        border_hidden: Predictions with the other half in grey, (N,).
        groups: Length N.
        classes: K.
        resamples: Of groups, for intervals.
    """
    right = np.column_stack([said == targets for said in (whole, centre_hidden, border_hidden)])
    values = right.mean(axis=0).tolist()
    terms = np.column_stack([right, np.ones(len(right))]).astype(np.float64)
    sums = resampled_sums(terms, group_codes(groups), resamples, 0)
    drawn = sums[:, :3] / sums[:, 3:]
    bounds = [interval(column) for column in drawn.T]
    gap = interval(drawn[:, 2] - drawn[:, 1])
    counts = np.bincount(targets, minlength=classes)
    common = float(counts.max() / counts.sum())
    tells = bounds[1].low > common
    if gap.high < 0:
        verdict = "It reads more from the border than from the centre."
    elif gap.low <= 0:
        verdict = "Centre and border tell it about as much as each other."
    elif tells:
        verdict = "It reads mostly the centre, but the border alone says something too."
    else:
        verdict = "It reads the centre; the border alone says hardly anything."
    hidden, bare, seen = (
        f"{value:.1%} (95 % {some.low:.1%} to {some.high:.1%})"
        for value, some in zip(
            (values[1], values[2], values[0]), (bounds[1], bounds[2], bounds[0]), strict=True
        )
    )
    words = (
        f"With the middle of each picture hidden it is right for {hidden}, with the border hidden "
        f"for {bare}, with nothing hidden for {seen}. Always naming the most common class would be right for "
        f"{common:.1%}. Each half is half of the picture's area; where the artefact fills the picture there "
        "is no background, and the border is artefact too."
    )
    names = ("whole", "centre_hidden", "border_hidden")
    record = dict(zip(names, values, strict=True)) | {
        "most_common": common,
        "intervals": {name: [some.low, some.high] for name, some in zip(names, bounds, strict=True)},
    }
    return AuditResult("background", "Background", verdict, words, good=gap.low > 0, record=record)


def leak(by_group: FinishedRun, by_image: FinishedRun, resamples: int) -> AuditResult:
    """Compare a run with one of the same recipe whose split tears groups apart.

    Args:
        by_group: The run whose test set shares no group with its training set.
        by_image: The one split image by image.
        resamples: Of groups, for the interval of the difference.
    """
    drawn, values = [], []
    for place, run in enumerate((by_group, by_image)):
        terms = confusion_terms(run.targets, run.predicted, len(run.classes))
        sums = resampled_sums(terms, group_codes(run.groups), resamples, place)
        single, _ = confusion_scores(sums.reshape(-1, len(run.classes), len(run.classes)))
        drawn.append(single["accuracy"])
        values.append(float(run.correct.mean()))
    bounds = interval(drawn[1] - drawn[0])
    gain = values[1] - values[0]
    real = bounds.low > 0
    verdict = f"Splitting by image flatters by {gain:+.1%}." if real else "No leak can be measured."
    words = (
        f"The same recipe is right for {values[1]:.1%} when split by image, as the thesis did, and for "
        f"{values[0]:.1%} when views of one object stay together (difference {gain:+.1%}, 95 % "
        f"{bounds.low:+.1%} to {bounds.high:+.1%}). Only the second says what to expect of new objects."
    )
    record = {"by_group": values[0], "by_image": values[1], "difference": gain,
              "interval": [bounds.low, bounds.high]}  # fmt: skip
    return AuditResult("leak", "Leak", verdict, words, good=not real, record=record)
