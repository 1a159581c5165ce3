"""By which metric a training is best, and whether small or large values of it are.

Told by the words of the names alone, so only where they tell. What was measured on data that
was not trained on goes before what was, a loss before the other metrics of the same data.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from ckread.errors import UsageError, by

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_VALIDATION = ("val", "valid", "validation", "dev", "v")
_TEST = ("test", "eval", "evaluation", "holdout")
_TRAINING = ("train", "training", "tr")
_GLUED = re.compile(r"(validation|valid|val|dev|test|eval|training|train)(?=[a-z0-9]{2,}\Z)")

_LOSS = re.compile(r"loss|\bcost|nll")
_SMALLER = re.compile(
    r"\berr(?!at)|error|mse|mae|mape|msle|rmse|perplexity|\bppl\b|cross ?entropy|divergence"
    r"|distance|\b[wcp]?er\b|\beer\b|fid\b|\bkld?\b|hausdorff|\bhd\d*\b|\bas?sd\b|\bf[np]r\b"
    r"|brier|deviation|incorrect"
)
_LARGER = re.compile(
    r"\bacc(?!el|id|um|ount)|accuracy|acc\b|auc\b|\bauc|precision|recall|f\d\b|f_?\d\b|f ?score"
    r"|f ?beta|\bm?iou|iou\b|i o u|jaccard|\bdice|dice\b|score|bleu"
    r"|rouge|meteor|cider|\br ?2\b|similarity|reward|return|sensitivity|specificity|\bt[np]r\b"
    r"|\bm ?ap\b|\bap\d*\b|top ?\d|psnr|ssim|ndcg|\bmrr\b|\bhits?\b|kappa|\bmcc\b|\bcorr(?!upt)"
    r"|pearson|spearman"
)
_NO_METRIC = re.compile(
    r"lr|learning rate|.*time.*|.*seconds?|secs?|.*\bsec|ms|.*\bms|.*duration.*|elapsed|eta|epsilon"
    r"|momentum|weight decay|wd|best .*|patience|steps?|iterations?|epochs?|samples?|memory|.*norm"
)


class BestMode(StrEnum):
    """Which value of a metric is the best."""

    MIN = "min"
    MAX = "max"


def mode_of(metric: str, asked: str | None) -> BestMode:
    """Give which value is best, as it was asked for or as the name tells."""
    if asked is not None:
        try:
            return BestMode(asked)
        except ValueError:
            raise UsageError(f"no mode {asked!r}, expected min or max") from None
    told = told_mode(metric)
    if told is None:
        modes = by("--mode min or --mode max", "mode='min' or mode='max'")
        remedy = f"Say which is better: {modes}."
        raise UsageError(f"{metric}: its name does not tell what is best", remedy=remedy)
    return told


def told_mode(metric: str) -> BestMode | None:
    """Give what the words of a name tell; None where they tell nothing, or both."""
    text = " ".join(_words(metric)[1])
    if _LOSS.search(text):
        return BestMode.MIN
    is_smaller, is_larger = bool(_SMALLER.search(text)), bool(_LARGER.search(text))
    if is_smaller == is_larger:
        return None
    return BestMode.MIN if is_smaller else BestMode.MAX


def choose_metric(names: Iterable[str]) -> str | None:
    """Give the metric that the best epoch is best by; None where no name tells.

    Several losses of which none is the whole, as those of a GAN, are none to be best by.
    """
    known = [name for name in names if is_metric(name) and told_mode(name) is not None]
    has_training = any(_words(name)[0] == "train" for name in known)
    ranked = sorted(known, key=lambda name: _rank(name, has_training=has_training))
    if not ranked:
        return None
    first = _rank(ranked[0], has_training=has_training)
    rivals = [name for name in ranked if _rank(name, has_training=has_training) == first]
    is_part = first[1] == _PART_OF_LOSS and len(rivals) > 1
    return None if is_part else ranked[0]


def is_metric(name: str) -> bool:
    """Tell whether a column is one that an epoch can be best by."""
    return not _NO_METRIC.fullmatch(" ".join(_words(name)[1])) and not _NO_METRIC.fullmatch(
        name.lower()
    )


def is_of_training(name: str) -> bool:
    """Tell whether a metric was measured on the data that was trained on, for all one knows."""
    return _words(name)[0] in ("", "train")


_PART_OF_LOSS = 2


def _rank(name: str, *, has_training: bool) -> tuple[int, int]:
    """Order metrics: by what they were measured on, then by what they are."""
    data, words = _words(name)
    text = " ".join(words)
    order = {"validation": 0, "test": 1, "train": 4, "": 2 if has_training else 3}[data]
    if _LOSS.search(text):
        is_whole = text in ("loss", "cost", "total loss", "nll")
        kind = 1 if is_whole else _PART_OF_LOSS
        return order, kind
    is_return = bool(re.search("reward|return", text))
    return order, 0 if is_return else 3 if told_mode(name) is BestMode.MAX else 4


def _words(name: str) -> tuple[str, list[str]]:
    """Give which data a metric was measured on, empty if it is not said, and the other words."""
    words = [word.lower() for word in _WORDS.findall(name)]
    words = [part for word in words for part in _GLUED.sub(r"\1 ", word).split()]
    for kind, known in (("validation", _VALIDATION), ("test", _TEST), ("train", _TRAINING)):
        if any(word in known for word in words):
            return kind, [word for word in words if word not in known] or words
    return "", words
