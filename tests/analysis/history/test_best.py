"""Which metric a training is best by, told by names alone."""

from __future__ import annotations

import pytest

from ckread.analysis.history.best import choose_metric, is_of_training, mode_of, told_mode
from ckread.errors import UsageError


@pytest.mark.parametrize(
    ("names", "best", "mode"),
    [
        ("loss accuracy val_loss val_accuracy", "val_loss", "min"),
        ("accuracy loss", "loss", "min"),
        ("train_loss valid_loss lr", "valid_loss", "min"),
        ("train/loss validation/loss time", "validation/loss", "min"),
        ("Loss,TrainAcc,ValidAcc,Time", "ValidAcc", "max"),
        ("Train Loss,Val Loss,Best Val Loss", "Val Loss", "min"),
        ("LOSS_train LOSS_dev R2_dev", "LOSS_dev", "min"),
        ("test_acc test_err", "test_acc", "max"),
        ("loss eval_bleu", "eval_bleu", "max"),
        ("loss test_loss val_loss", "val_loss", "min"),
        ("train_cost val_cost", "val_cost", "min"),
        ("total_loss pde_loss bc_loss", "total_loss", "min"),
        ("train_loss dice hd95", "dice", "max"),
        ("reward loss epsilon", "reward", "max"),
        ("loss perplexity", "loss", "min"),
        ("d_loss g_loss", None, None),
        ("gamma delta", None, None),
        ("lr seconds", None, None),
        ("wer", "wer", "min"),
        ("val_specificity", "val_specificity", "max"),
        ("lr sensitivity", "sensitivity", "max"),
        ("masked_mse time", "masked_mse", "min"),
        ("val_iou val_f1", "val_iou", "max"),
        ("mean_return", "mean_return", "max"),
        ("val_dice_loss", "val_dice_loss", "min"),
        ("vallosses valacc", "vallosses", "min"),
    ],
)
def test_the_metric_to_be_best_by(names: str, best: str | None, mode: str | None) -> None:
    chosen = choose_metric(names.split("," if "," in names else None))
    assert chosen == best
    assert best is None or str(told_mode(best)) == mode


def test_what_was_measured_on_which_data() -> None:
    assert is_of_training("loss")
    assert is_of_training("train/acc")
    assert not is_of_training("val_loss")
    assert not is_of_training("Test_ACC")
    with pytest.raises(UsageError, match="does not tell what is best"):
        mode_of("gamma", None)
