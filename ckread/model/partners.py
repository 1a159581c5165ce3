"""Files of other worlds: who the variables of PyTorch's names are.

A state dict names a tensor by the way through its modules, `layers.0.attn.weight`; a
checkpoint of a training holds it beside that of the optimizer, `optimizer/state/0/exp_avg`,
which numbers the parameters as the model lists them.

Reference: torch/nn/modules/module.py, torch/optim/optimizer.py (`state_dict`)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence, Identity
from ckread.model.naming import identify
from ckread.model.role import Role, can_be_weight, is_metric_word, is_whole, role_by_word
from ckread.readers.contract import DataType, Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.paths.location import Location
    from ckread.readers.contract import CheckpointReader, TensorRecord

SLOTS = frozenset(
    {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg"}
    | {"acc_delta", "sum", "exp_inf", "prev", "step_size", "ax"}
)
"""Words of torch.optim for what is kept per parameter."""

_STATISTICS = frozenset({"running_mean", "running_var"})
_BUFFER = re.compile(r"(?:.*_)?masks?|masked_bias|inv_freq|best(?:_.+)?")
"""What modules keep beside their parameters, in floating numbers too."""
_AVERAGES = frozenset({"ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict"})
_STATE = re.compile(r"(?:(?P<before>.*)/)?state/(?P<number>\d+)/(?P<word>\w+)")
_LAST = re.compile(r"[./]")
_CODES = (DataType.INT8, DataType.UINT8)


def open_partner(location: Location) -> Checkpoint:
    """Open a safetensors file or index, an `.npy` or `.npz`, or a PyTorch archive.

    Raises:
        CorruptCheckpointError: it breaks the rules of its format.
        UnsupportedFeatureError: it is encrypted.
        MissingShardError: a file that an index names is not there.
    """
    reader: CheckpointReader
    same: Mapping[str, str] = {}
    evidence = Evidence()
    if location.format is Format.SAFETENSORS:
        from ckread.readers.partners.safetensors import Safetensors

        file = reader = Safetensors(location.path)
        evidence = Evidence(metadata=tuple(sorted(file.metadata.items())))
    elif location.format is not Format.PYTORCH:
        from ckread.readers.partners.numpy_files import NumpyFile

        reader = NumpyFile(location.path)
    else:
        from ckread.readers.partners.pytorch import PyTorchArchive

        archive = reader = PyTorchArchive(location.path)
        same = archive.same
        evidence = Evidence(is_in_order=True)
    try:
        tensors = reader.tensors
        n_dotted = sum("." in key for key in tensors)
        if reader.format in (Format.NPY, Format.NPZ) and 2 * n_dotted < len(tensors):
            identities = identify(tensors, evidence)
        else:
            identities = identify_dotted(tensors, same)
        notes = (*location.notes, *reader.notes)
        return Checkpoint(reader, identities, path=location.path, evidence=evidence, notes=notes)
    except BaseException:
        reader.close()
        raise


def identify_dotted(
    tensors: Mapping[str, TensorRecord], same: Mapping[str, str]
) -> dict[str, Identity]:
    """Give the identity of every key of a state dict or of a checkpoint of PyTorch.

    Args:
        tensors: by key.
        same: keys of tensors to the keys of earlier ones that are the very same.
    """
    found: dict[str, Identity] = {}
    states: dict[str, dict[int, list[str]]] = {}
    for key, record in tensors.items():
        state = _STATE.fullmatch(key)
        word = _LAST.split(key)[-1]
        if state is not None and record.shape:
            states.setdefault(state["before"] or "", {}).setdefault(
                int(state["number"]), []
            ).append(key)
            found[key] = Identity(key, Role.SLOT, slot=state["word"])
        elif state is not None:
            is_step = state["word"] == "step"  # of this parameter: no step of the training
            role = Role.COUNTER if is_step else Role.HYPERPARAMETER
            found[key] = Identity(key, role, slot=state["word"])
        elif key in same:
            found[key] = Identity(key, Role.ALIAS, owner=same[key])
        elif (weight := _averaged(key, tensors)) is not None:
            found[key] = Identity(key, Role.AVERAGE, owner=weight)
        else:
            role = _role(word, record)
            if record.dtype in _CODES and len(record.shape) > 1 and _has_scale(key, tensors):
                role = Role.WEIGHT
            found[key] = Identity(key, role, False if role is Role.STATISTIC else None)
    for numbered in states.values():
        _own(found, numbered, tensors)
    return found


def _averaged(key: str, tensors: Mapping[str, TensorRecord]) -> str | None:
    """Give the weight that a tensor below `ema` is the average of, if that is here too."""
    head, separator, rest = key.partition("/") if "/" in key else key.partition(".")
    if head not in _AVERAGES:
        return None
    record = tensors[key]
    for other in (rest, *(f"{top}{separator}{rest}" for top in ("model", "state_dict"))):
        one = tensors.get(other)
        if one is not None and (one.shape, one.dtype) == (record.shape, record.dtype):
            return other
    return None


def _role(word: str, record: TensorRecord) -> Role:
    if word == "num_batches_tracked" and is_whole(record.dtype):
        return Role.COUNTER
    if word in _STATISTICS and can_be_weight(record.dtype):
        return Role.STATISTIC
    if word in SLOTS and word.startswith(("exp_avg", "max_exp_avg", "momentum_buffer")):
        return Role.SLOT
    told = role_by_word(word, record.dtype, record.shape)
    if told is None and _BUFFER.fullmatch(word):
        return Role.STATE
    if told is None and is_metric_word(word) and not record.shape:
        return Role.METRIC
    return told or (Role.WEIGHT if can_be_weight(record.dtype) else Role.OTHER)


def _has_scale(key: str, tensors: Mapping[str, TensorRecord]) -> bool:
    """Tell whether integers are codes of a weight: what scales them lies beside them."""
    scope = key[: len(key) - len(_LAST.split(key)[-1])]
    return any(
        f"{key}{end}" in tensors for end in ("_scale", "_scales", ".scale", ".absmax")
    ) or any(f"{scope}{word}" in tensors for word in ("SCB", "scale", "scales", "weight_scale"))


def _own(
    found: dict[str, Identity],
    numbered: Mapping[int, Iterable[str]],
    tensors: Mapping[str, TensorRecord],
) -> None:
    """Give slots their weights: the number is a place among the parameters of one state dict.

    Taken where exactly one state dict of the file has a parameter of the slot's shape, or of
    fewer dimensions, at each of these places.
    """
    models: dict[str, list[str]] = {}
    for key, identity in found.items():
        if identity.role in (Role.WEIGHT, Role.ALIAS):
            models.setdefault(key.rpartition("/")[0], []).append(key)
    fitting = [
        keys
        for keys in models.values()
        if max(numbered) < len(keys)
        and all(
            tensors[slot].shape == tensors[keys[number]].shape
            for number, slots in numbered.items()
            for slot in slots
        )
    ]
    if len(fitting) != 1:
        return
    for number, slots in numbered.items():
        for slot in slots:
            found[slot] = found[slot]._replace(owner=fitting[0][number])
