"""The JSON document of `info`: its fields, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckread.analysis.info import CheckpointSummary
    from ckread.analysis.training import TrainingState
    from ckread.readers.contract import StoredFile
    from ckread.readers.keras_config import KerasLayer
    from ckread.readers.signatures import Signature, TensorInfo


def summary_fields(summary: CheckpointSummary) -> dict[str, Any]:
    """Give the fields of a summary; what is unknown is None."""
    training = summary.training
    return {
        "path": summary.path,
        "format": summary.format,
        "writer": summary.writer,
        "files": [file.path for file in summary.files],
        "shards": [_shard_fields(file) for file in summary.files if file.is_shard],
        "step": training.step,
        "epoch": training.epoch,
        "iterations": training.iterations,
        "learning_rate": training.learning_rate,
        "save_counter": training.save_counter,
        "optimizer": _optimizer_fields(training),
        "n_variables": summary.n_variables,
        "parameters": summary.parameters,
        "trainable_parameters": summary.trainable_parameters,
        "non_trainable_parameters": summary.non_trainable_parameters,
        "nbytes": summary.nbytes,
        "roles": {role: total.to_dict() for role, total in summary.roles.items()},
        "dtypes": summary.dtypes,
        "tags": summary.tags,
        "signatures": [_signature_fields(signature) for signature in summary.signatures],
        "layers": [_layer_fields(layer) for layer in summary.layers],
        "assets": summary.assets,
        "warnings": summary.warnings,
    }


def _shard_fields(file: StoredFile) -> dict[str, Any]:
    return {"file": file.path, "nbytes": file.nbytes, "present": file.nbytes is not None}


def _optimizer_fields(training: TrainingState) -> dict[str, Any] | None:
    if training.optimizer_kind is None and training.optimizer_name is None:
        return None
    return {"kind": training.optimizer_kind, "name": training.optimizer_name}


def _layer_fields(layer: KerasLayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class": layer.class_name,
        "parameters": layer.parameters,
        "shape": layer.shape,
    }


def _signature_fields(signature: Signature) -> dict[str, Any]:
    return {
        "name": signature.name,
        "inputs": [_tensor_fields(tensor) for tensor in signature.inputs],
        "outputs": [_tensor_fields(tensor) for tensor in signature.outputs],
    }


def _tensor_fields(tensor: TensorInfo) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape}
