"""The numbers in checkpoint names: which one counts epochs or steps, and in what order they stand.

One rule for every command. It looks at all names of a directory together, because one name
alone says little: `resnet50_03-0.92` holds three numbers, and only beside its siblings is it
seen that 50 never changes, that 0.92 is a metric, and that 03 counts.

1. A name without its suffix is cut into words and numbers; a decimal, an exponent, a date is
   one number. Names with the same words are a series.
2. A number that is equal in all names counts nothing, nor do decimals, exponents and dates,
   nor what follows acc, loss, lr, size, v, seed, fold and the like.
3. A number beside the word epoch or step is that. Of several without a word the likeliest is
   taken: padded with zeros, never repeated, at regular distances, rising with the time saved.
4. Numbers that only together tell names apart order them together, and are neither.
5. Times order what numbers do not, unless a copy has set them.

Where names do not tell, no number is claimed, and `doubt` says what is not known.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from enum import IntEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KERAS = re.compile(r"\.weights\.(?:h5|json)\Z|\.(?:keras|hdf5|h5)\Z")
_SUFFIX = re.compile(r"\.index\Z|\.(?:ckpt|cptk|weights)\Z")
_TIME = r"(?:[01]\d|2[0-3])(?P<{0}>[-_:.h]?)[0-5]\d(?:(?P={0})[0-5]\d)?"
_DAY = (
    r"(?:19|20)\d\d(?P<between>[-_.]?)(?:0[1-9]|1[0-2])(?P=between)(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])(?P<other>[-_.])(?:0[1-9]|1[0-2])(?P=other)(?:19|20)\d\d"
)
_TOKEN = re.compile(
    rf"(?P<date>(?<!\d)(?:{_DAY})(?:[-_T. ]*{_TIME.format('of_day')})?(?!\d)"
    r"|(?<!\d)1[0-9]{9}(?:\.\d+)?(?!\d))"
    r"|(?P<version>(?<!\d)\d+(?:\.\d+){2,}(?!\d))"
    r"|(?P<exponent>\d+(?:[.,]\d+)?[eE][-+]\d+|(?<![^\W_])\d+\.\d+[eE]\d+)"
    r"|(?P<decimal>\d+[.,]\d+)"
    r"|(?P<whole>\d+)",
    re.ASCII,
)
_WORD = re.compile(r"[^\W\d_]+|%")
_SEPARATORS = "-_.=:/ ~#@()[]"


class _Said(IntEnum):
    """What the words beside a number say that it is, the strongest first."""

    EPOCH = 0
    STEP = 1
    NEVER = 2
    GROUP = 3
    SAVE = 4
    WEAK = 5
    NOTHING = 6


_WORDS = {
    said: frozenset(words.split())
    for said, words in {
        _Said.EPOCH: "epoch epochs ep eps epc e epoca epocas época épocas epoque époque epoche"
        " эпоха 轮",
        _Said.STEP: "step steps iter iters iteration iterations it its episode episodes game games"
        " round rounds batches updates kimg globalstep gstep",
        _Said.SAVE: "ckpt ckpts cp chkpt chkpnt checkpoint checkpoints snapshot at",
        _Said.WEAK: "i s t b n batch gen generation update",
        _Said.GROUP: "fold folds kfold cv seed run runs stage phase part trial exp period cycle"
        " split client clients member replica",
        _Said.NEVER: "% acc accuracy loss mae mse rmse mape iou miou dice score scores reward"
        " rewards return map auc recall precision psnr ssim bleu wer cer err error val valid lr"
        " rate wd bs size dim dims v ver version px x w h l k c f d layer layers unit units hidden"
        " head heads filters channels dropout alpha beta gamma temp scale crop width height gpu"
        " worker rank host class classes label num nb top len length window win res resolution"
        " level ball depth bits",
    }.items()
}
_ENDINGS = {"epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "ckpt", "checkpoint"}
_ENDINGS |= {"loss", "accuracy", "score", "reward", "size", "seed", "fold", "轮"}
"""Words that count also at the end of a longer one: `trainloss`, `myepoch`."""

TIMES_ORDER = (
    "Lower numbers were saved after all higher ones, as where a directory is trained into twice: "
    "the times order them."
)
MAX_ENUMERATED = 10
"""Names numbered from 0 or 1 without a gap: up to so many may as well be models or folds."""
_TIMES = {"k": 1000, "m": 10**6}
"""What a letter behind a number that counts stands for: `step_10k`."""
_MAX_DIGITS = 18
"""Of a number that counts: what is longer is a checksum, or a mistake."""
_NEAR = 1.5
"""Points by which the likeliest number must lead, or the choice is said to be in doubt."""
_PART = 2
"""Names of each part, at least, in a directory that was trained into twice."""
UNTOLD = "Neither the names nor the times tell which is the latest."
COPY_SECONDS = 2.0
"""Seconds a file that a copy takes at most: times in alphabetical order then mean nothing."""


class _Token(NamedTuple):
    kind: str
    text: str


class _Name(NamedTuple):
    """One name, cut: texts before, between and after its tokens."""

    texts: tuple[str, ...]
    tokens: tuple[_Token, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """What names of one series have in common; separators before a number do not count."""
        return tuple(text.rstrip(_SEPARATORS) for text in self.texts)


class NameNumbers(NamedTuple):
    """What a name says of the place of its checkpoint in a training.

    Attributes:
        epoch: where the name says that it is one.
        step: where the name says so, or where one number counts and nothing says what.
        values: the numbers that order its series, as many as `Series.titles`.
    """

    epoch: int | None = None
    step: int | None = None
    values: tuple[int, ...] = ()

    @property
    def known(self) -> int | None:
        """The step, else the epoch."""
        return self.epoch if self.step is None else self.step

    @property
    def unit(self) -> str:
        """What `known` counts."""
        return "epoch" if self.step is None and self.epoch is not None else "step"


class Series(NamedTuple):
    """Names that differ in their numbers only.

    Attributes:
        order: places of its names in the list that was given, earliest first.
        numbers: what each name says, in this order.
        titles: what the numbers that order it are called: `epoch`, `step`, or a word of the name.
        source: what told them, in words: "file name, after `ckpt-`"; empty where nothing did.
        against: numbers that were seen and not taken, with the reason.
        doubt: what the names do not tell, one sentence; empty where nothing is in doubt.
    """

    order: tuple[int, ...]
    numbers: tuple[NameNumbers, ...]
    titles: tuple[str, ...] = ()
    source: str = ""
    against: tuple[str, ...] = ()
    doubt: str = ""


def stem_of_name(name: str) -> str:
    """Give a name without the suffixes whose digits count nothing."""
    return _SUFFIX.sub("", _KERAS.sub("", name)) or name


def words_of(name: str) -> tuple[str, ...]:
    """Give what names of one series have in common: all but their numbers."""
    return _cut(name).words


def read_series(names: Sequence[str], times: Sequence[float | None]) -> list[Series]:
    """Tell the series among names of one directory, and the order in each.

    Args:
        names: base names, or paths below a directory that all share; suffixes may be there.
        times: when each was saved, seconds since 1970; None where it is not known.

    Returns:
        The series, the one with most names first.
    """
    cut = [_cut(name) for name in names]
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, name in enumerate(cut):
        suffix = _KERAS.search(names[place])
        found[*name.words, suffix[0] if suffix else ""].append(place)
    series = [
        _read([cut[i] for i in same], same, names, [times[i] for i in same])
        for same in found.values()
    ]
    newest = [max((times[i] or 0.0 for i in one.order), default=0.0) for one in series]
    known = [max((n.known or 0 for n in one.numbers), default=0) for one in series]
    last = [natural(names[one.order[-1]]) for one in series]
    ranks = sorted(range(len(series)), key=last.__getitem__, reverse=True)
    ranks.sort(key=lambda i: (-len(series[i].order), -known[i], -newest[i]))
    return [series[i] for i in ranks]


@lru_cache(1 << 15)
def _cut(name: str) -> _Name:
    stem = stem_of_name(name)
    matches = list(_TOKEN.finditer(stem))
    ends = [0, *(match.end() for match in matches)]
    starts = [*(match.start() for match in matches), len(stem)]
    texts = [stem[end:start] for end, start in zip(ends, starts, strict=True)]
    tokens = (_Token(match.lastgroup or "", match[0]) for match in matches)
    kept = (t if len(t.text) <= _MAX_DIGITS else _Token("long", t.text) for t in tokens)
    return _Name(tuple(texts), tuple(kept))


class _Column:
    """The numbers at one place of all names of a series, and what their words say."""

    def __init__(self, at: int, cut: Sequence[_Name]) -> None:
        self.at = at
        self.texts = [name.tokens[at].text for name in cut]
        self.kinds = {name.tokens[at].kind for name in cut}
        self.is_constant = len(set(self.texts)) == 1
        self.is_whole = self.kinds == {"whole"}
        self.said, self.word, self.is_before = _said(cut[0], at)
        self.is_glued = cut[0].texts[at] == self.word
        self.is_of_checksum = _is_of_checksum(cut[0], at)
        self.is_of_saver = cut[0].texts[at].endswith("-") and cut[0].texts[at + 1 :] == ("",)
        unit = re.match(r"[kKM](?![^\W_])", cut[0].texts[at + 1]) if self.is_before else None
        self.times = _TIMES[unit[0].lower()] if unit else 1

    @cached_property
    def values(self) -> list[int]:
        return [int(text) * self.times for text in self.texts]

    @property
    def is_unique(self) -> bool:
        return len(set(self.texts)) == len(self.texts)

    @property
    def is_padded(self) -> bool:
        return any(text[0] == "0" and len(text) > 1 for text in self.texts)

    @property
    def source(self) -> str:
        """Say by which word it is known, in the words of a claim."""
        where = "after" if self.is_before else "before"
        return f"file name, {where} `{self.word}`"

    def shown(self) -> str:
        few = list(dict.fromkeys(self.texts))
        return ", ".join(few[:3]) + (", …" if len(few) > 3 else "")


def _said(name: _Name, at: int) -> tuple[_Said, str, bool]:
    """Tell what the words beside a number say: the kind, the word, whether it stands before.

    A word between two numbers belongs to the one it is glued to, else to the next one.
    """
    before, after = name.texts[at], name.texts[at + 1]
    is_first, is_last = at == 0, at == len(name.tokens) - 1
    words, later = _WORD.findall(before), _WORD.findall(after)
    found: list[tuple[_Said, str, bool]] = []
    is_own = is_first or len(words) > 1 or not _is_glued(before, to_left=True)
    if words and (is_own or _is_glued(before, to_left=False)):
        is_glued = _is_glued(before, to_left=False)
        found.append((_kind_of(words[-1], is_glued=is_glued), words[-1], True))
    if later and _is_glued(after, to_left=True):
        if is_last or len(later) > 1 or not _is_glued(after, to_left=False):
            found.append((_kind_of(later[0]), later[0], False))
    elif later and (is_last or len(later) > 1):
        kind = _kind_of(later[0])
        if kind in (_Said.EPOCH, _Said.STEP) and len(later[0]) > 1:
            found.append((kind, later[0], False))
    told = [one for one in found if one[0] is not _Said.NOTHING]
    return min(told or found, default=(_Said.NOTHING, "", True), key=lambda one: one[0])


def _is_of_checksum(name: _Name, at: int) -> bool:
    """Tell whether a number stands between letters, all of them hexadecimal: `dbd2644e`."""
    before = re.search(r"[^\W\d_]+\Z", name.texts[at])
    after = re.match(r"[^\W\d_]+", name.texts[at + 1])
    if before is None or after is None:
        return False
    return bool(re.fullmatch("[0-9a-f]{6,}", before[0] + name.tokens[at].text + after[0]))


def _is_glued(text: str, *, to_left: bool) -> bool:
    edge = text[:1] if to_left else text[-1:]
    return bool(edge) and (edge.isalpha() or edge == "%")


def _kind_of(word: str, *, is_glued: bool = True) -> _Said:
    """Give what a word says; a longer one counts by its end: `trainloss`, `myepoch`."""
    small = word.lower()
    if len(small) == 1 and not is_glued and small not in "ev":  # D_20000 is a discriminator
        return _Said.WEAK if small in _WORDS[_Said.WEAK] else _Said.NOTHING
    if small.startswith("val"):
        return _Said.NEVER
    for said, words in _WORDS.items():
        if small in words or any(small.endswith(w) for w in words & _ENDINGS):
            return said
    return _Said.NOTHING


def _read(
    cut: Sequence[_Name], places: list[int], names: Sequence[str], times: Sequence[float | None]
) -> Series:
    """Choose the counters of one series, and put its names in order."""
    columns = [_Column(at, cut) for at in range(len(cut[0].tokens))]
    if len(set(cut)) == 1:
        return _lone(columns, places)
    varying = [column for column in columns if not column.is_constant]
    whole = [column for column in varying if column.is_whole]
    trusted = _trusted(names, places, times)
    is_keras = any(_KERAS.search(names[place]) for place in places)
    chosen = _choose(whole, varying, trusted, is_keras=is_keras)
    against = tuple(
        f"{column.shown()}: {_why_not(column)}" for column in columns if column not in chosen.used
    )
    rows: list[tuple[int, ...]] = list(zip(*chosen.keys, strict=True)) or [()] * len(cut)
    keys = [(row, trusted[i : i + 1], natural(names[places[i]])) for i, row in enumerate(rows)]
    order = sorted(range(len(cut)), key=keys.__getitem__)
    doubt = chosen.doubt
    if chosen.is_counted and trusted and _is_trained_again(order, trusted):
        order.sort(key=trusted.__getitem__)
        doubt = TIMES_ORDER
    elif not chosen.keys and not trusted:
        doubt = doubt or UNTOLD
    return Series(
        order=tuple(places[i] for i in order),
        numbers=chosen.numbers(order, rows),
        titles=chosen.titles,
        source=chosen.source,
        against=against,
        doubt=doubt,
    )


class _Chosen:
    """The counters of a series.

    `others` order it without a word that says what they are, the first first.
    """

    def __init__(
        self,
        epoch: _Column | None = None,
        step: _Column | None = None,
        *,
        others: Sequence[_Column] = (),
        groups: Sequence[_Column] = (),
        fractions: Sequence[int] = (),
        source: str = "",
        doubt: str = "",
    ) -> None:
        self.epoch = epoch
        self.step = step
        self.others = [*others]
        self.groups = [*groups]
        self.fractions = [*fractions]
        self.source = source
        self.doubt = doubt

    @property
    def used(self) -> list[_Column]:
        counters = [column for column in (self.epoch, self.step) if column is not None]
        return [*self.groups, *self.others, *counters]

    @cached_property
    def keys(self) -> list[list[int]]:
        """What orders the series, most significant first."""
        if self.fractions:
            return [self.fractions]
        return [[int(re.sub(r"\D", "", text)) for text in column.texts] for column in self.used]

    @property
    def is_counted(self) -> bool:
        """Whether one number alone orders it."""
        return len(self.keys) == 1

    @property
    def titles(self) -> tuple[str, ...]:
        if self.fractions:
            return ("step",)
        named = [c.word or "number" for c in [*self.groups, *self.others]]
        epoch = ["epoch"] if self.epoch else []
        return (*named, *epoch, *(["step"] if self.step else []))

    def numbers(
        self, order: Iterable[int], rows: Sequence[tuple[int, ...]]
    ) -> tuple[NameNumbers, ...]:
        """Give what each name says; `rows` are the numbers that order them."""
        nothing = [None] * len(rows)
        epochs = self.epoch.values if self.epoch else nothing
        steps = self.fractions or (self.step.values if self.step else nothing)
        return tuple(NameNumbers(epochs[i], steps[i], rows[i]) for i in order)


def _lone(columns: Sequence[_Column], places: list[int]) -> Series:
    """Read a name that stands alone, or the same one of several directories.

    Only a number that a word calls epoch or step counts.
    """
    # A letter between digits is no word, nor are those of a checksum.
    named = [c for c in columns if c.is_whole and (len(c.word) > 1 or c.at == 0 or not c.is_glued)]
    named = [column for column in named if not column.is_of_checksum]
    epoch = next((c for c in named if c.said is _Said.EPOCH), None)
    step = next((c for c in named if c.said is _Said.STEP), None)
    step = step or next((c for c in reversed(named) if c.said is _Said.SAVE), None)
    chosen = _Chosen(epoch, step)
    chosen.source = " and ".join(column.source for column in chosen.used)
    against = tuple(
        f"{c.shown()}: {'one name alone does not tell' if c.is_whole else _why_not(c)}"
        for c in columns
        if c not in chosen.used
    )
    rows: list[tuple[int, ...]] = list(zip(*chosen.keys, strict=True)) or [()] * len(places)
    numbers = chosen.numbers(range(len(places)), rows)
    return Series(tuple(places), numbers, chosen.titles, chosen.source, against)


def _choose(
    whole: Sequence[_Column],
    varying: Sequence[_Column],
    times: Sequence[float],
    *,
    is_keras: bool,
) -> _Chosen:
    by = {said: [c for c in whole if c.said is said] for said in _Said}
    free = [c for c in whole if c.said in (_Said.NOTHING, _Said.WEAK)]
    groups = [c for c in whole if c.said in (_Said.GROUP, _Said.NEVER)]
    epoch = max(by[_Said.EPOCH], key=_n_different, default=None)
    # A number after `checkpoint` that repeats is one of several that count together.
    saves = [c for c in by[_Said.SAVE] if c.is_unique or epoch is not None or by[_Said.STEP]]
    free += [c for c in by[_Said.SAVE] if c not in saves]
    free.sort(key=lambda column: column.at)
    steps = by[_Said.STEP] or saves
    step = max(steps, key=lambda c: (_n_different(c), _score(c, steps, times)), default=None)
    if epoch is None and step is None and not free:
        free = [c for c in groups if c.word.lower() == "exp" and c.is_padded and c.is_unique]
    if epoch is not None or step is not None:
        chosen = _Chosen(epoch, step)
        stamps = [c for c in varying if c.kinds == {"date"}]
        _tell_apart(chosen, free, [*stamps, *groups])
        chosen.source = " and ".join(c.source for c in (chosen.epoch, chosen.step) if c and c.word)
        return chosen
    if len(free) == 1:
        return _only(free[0], groups, varying, times, is_keras=is_keras)
    if not free:
        return _after_point(varying) or _by_stamp(varying)
    if any(column.is_unique for column in free):
        return _likeliest(free, times)
    first = ", ".join(f"{column.values[-1]:,}" for column in free[:-1])
    doubt = (
        f"The names tell by several numbers, such as {first} and {free[-1].values[-1]:,}, "
        "and do not say which is the epoch."
    )
    return _Chosen(others=free, doubt=doubt)


def _n_different(column: _Column) -> int:
    return len(set(column.texts))


def _tell_apart(chosen: _Chosen, free: Sequence[_Column], groups: Sequence[_Column]) -> None:
    """Where counters repeat: a number to the right is the iteration, others are groups."""
    if _is_told(chosen.used):
        return
    counter = chosen.epoch or chosen.step
    if counter is None:
        return
    for column in free:
        if chosen.step is None and column.at > counter.at and _is_told([counter, column]):
            chosen.step = column
            return
    for column in [*groups, *free]:
        if column.at < counter.at or column.said is _Said.GROUP or "date" in column.kinds:
            chosen.groups.append(column)
            if _is_told(chosen.used):
                return


def _is_told(columns: Sequence[_Column]) -> bool:
    rows = list(zip(*(column.texts for column in columns), strict=True))
    return len(set(rows)) == len(rows)


def _only(
    column: _Column,
    groups: Sequence[_Column],
    varying: Sequence[_Column],
    times: Sequence[float],
    *,
    is_keras: bool,
) -> _Chosen:
    """Read a series of which one number alone may count."""
    if not column.is_unique:
        told = [g for g in groups if _is_told([g, column])]
        if not told:
            return _by_stamp(varying)
        return _Chosen(step=column, groups=told[:1], source="file name, the number that repeats")
    shown = f"{min(column.values):,} to {max(column.values):,}"
    is_open = column.said is _Said.NOTHING and not any(other is not column for other in varying)
    if is_open and _may_be_models(column, times, is_keras=is_keras):
        doubt = f"The names are numbered {shown} and do not say of what."
        return _Chosen(others=[column], doubt=doubt)
    return _Chosen(step=column, source="file name, the only number that differs")


def _may_be_models(column: _Column, times: Sequence[float], *, is_keras: bool) -> bool:
    """Tell whether numbers may as well count models, folds or sizes.

    Files of Keras are numbered by whoever saves. A saver of TensorFlow writes its count behind
    a dash, at the end; other sizes are steps only if each was saved seconds after the one before.
    """
    values = sorted(column.values)
    if column.is_padded:
        return False
    is_size = all(0 < v <= 1024 and v % 32 == 0 for v in values)
    if not is_keras:
        by_size = [times[i] for i in _order(column.values)] if times else [0.0, 0.0]
        is_rising = all(b - a > COPY_SECONDS for a, b in pairwise(by_size))
        return is_size and not column.is_of_saver and not is_rising
    is_enumerated = values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    return (is_enumerated and len(values) <= MAX_ENUMERATED) or is_size


def _likeliest(free: Sequence[_Column], times: Sequence[float]) -> _Chosen:
    scored = sorted(((_score(c, free, times), -c.at, c) for c in free), key=lambda s: s[:2])
    (points, _, best), (fewer, _, second) = scored[-1], scored[-2]
    nth = ("first", "second", "third")
    at = [column.at for column in free].index(best.at)
    which = nth[at] if at < len(nth) else f"{at + 1}th"
    by_second = _order(second.values)
    if points - fewer >= _NEAR or _order(best.values) == by_second:
        return _Chosen(step=best, source=f"file name, the {which} number that differs")
    doubt = (
        f"Two numbers of the names may count; the {which} was taken. By the other one "
        f"{second.texts[by_second[-1]]} would be the latest."
    )
    return _Chosen(others=[best], doubt=doubt)


def _score(column: _Column, free: Sequence[_Column], times: Sequence[float]) -> float:
    """Give points for what a counter looks like; the weights were found by trial on real names."""
    values = column.values
    distinct = sorted(set(values))
    steps = Counter(b - a for a, b in pairwise(distinct))
    score = 4.0 * column.is_padded + 3.0 * column.is_unique + 3.0 * (column.said is _Said.WEAK)
    score += 3.0 * max(steps.values(), default=0) / max(1, len(distinct) - 1)
    score += 1.0 * (column is free[0])
    if times:
        by_time = [values[i] for i in _order(times)]
        rising = sum(a < b for a, b in pairwise(by_time)) - sum(a > b for a, b in pairwise(by_time))
        score += 3.0 * rising / max(1, len(values) - 1)
    return score


def _order(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=values.__getitem__)


def _after_point(varying: Sequence[_Column]) -> _Chosen | None:
    """Read `unet_1.0` … `unet_1.10`: the same whole part, and a fraction that counts."""
    for column in varying:
        if column.kinds != {"decimal"} or column.word.lower() in ("v", "ver", "version"):
            continue
        parts = [re.split("[.,]", text) for text in column.texts]
        fractions = [int(fraction) for _, fraction in parts]
        values = sorted(fractions)
        distances = {b - a for a, b in pairwise(values)}
        widths = {len(fraction) for _, fraction in parts}
        is_counter = len(values) > 2 and len(distances) == 1 and 0 not in distances
        is_padded = len(widths) == 1 and any(f[0] == "0" and len(f) > 2 for _, f in parts)
        is_natural = len(widths) > 1 and not any(len(f) > 1 and f[0] == "0" for _, f in parts)
        if len({whole for whole, _ in parts}) == 1 and is_counter and (is_padded or is_natural):
            return _Chosen(fractions=fractions, source="file name, after the point")
    return None


def _by_stamp(varying: Sequence[_Column]) -> _Chosen:
    stamps = [column for column in varying if "date" in column.kinds]
    return _Chosen(groups=stamps) if stamps else _Chosen()


def _trusted(
    names: Sequence[str], places: Sequence[int], times: Sequence[float | None]
) -> list[float]:
    """Give the times that tell an order; nothing where they are equal, or those of a copy."""
    known = [time for time in times if time is not None]
    if len(known) < len(times) or 2 * len(set(known)) <= len(known):
        return []
    by_name = [known[i] for i in sorted(range(len(known)), key=lambda i: names[places[i]])]
    is_copy = all(0 <= b - a <= COPY_SECONDS for a, b in pairwise(by_name))
    return [] if is_copy else known


def _is_trained_again(order: Sequence[int], times: Sequence[float]) -> bool:
    """Tell whether all low numbers are newer than all high ones, each part rising with time."""
    ranks = {i: rank for rank, i in enumerate(order)}
    by_time = [ranks[i] for i in _order(times)]
    breaks = [at for at, (a, b) in enumerate(pairwise(by_time), 1) if b < a]
    if len(breaks) != 1:
        return False
    old, new = by_time[: breaks[0]], by_time[breaks[0] :]
    return min(len(old), len(new)) >= _PART and max(new) < min(old)


def _why_not(column: _Column) -> str:
    if "date" in column.kinds:
        return "a date"
    if column.is_constant:
        return "equal in all names"
    if not column.is_whole:
        return "no whole number"
    if column.said in (_Said.NEVER, _Said.GROUP):
        where = "after" if column.is_before else "before"
        return f"{where} `{column.word}`"
    return "another number is likelier"


def natural(name: str) -> list[tuple[int, str]]:
    """Sort text with its numbers as numbers: 9 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]
