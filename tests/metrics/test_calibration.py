"""Calibration: by hand, and against torchmetrics."""

import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from seglab.metrics.calibration import calibration_counts, expected_calibration_error


def test_calibration_agrees_with_torchmetrics_and_adds_up():
    torch.manual_seed(0)
    probs = (torch.randn(4, 5, 16, 16) * 2).softmax(1)
    target = torch.multinomial(probs.permute(0, 2, 3, 1).reshape(-1, 5), 1).reshape(4, 16, 16)
    target[torch.rand(4, 16, 16) < 0.1] = 255
    counts = calibration_counts(probs, target)
    theirs = MulticlassCalibrationError(5, n_bins=15, ignore_index=255)(probs, target)
    assert expected_calibration_error(counts) == pytest.approx(float(theirs), abs=1e-4)
    parts = sum(calibration_counts(p, t) for p, t in zip(probs, target, strict=True))
    assert (parts == counts).all()
    with pytest.raises(ValueError, match="need a softmax"):
        calibration_counts(torch.randn(5, 4, 4) * 9, target[0, :4, :4])


def test_calibration_by_hand():
    probs = torch.tensor([[[0.85, 0.85, 0.55]], [[0.15, 0.15, 0.45]]])
    counts = calibration_counts(probs, torch.tensor([[0, 1, 1]]), bins=10)
    assert counts[8].tolist() == [2, 1, 2 * round(0.85 * 65536)]
    assert counts[5].tolist() == [1, 0, round(0.55 * 65536)]
    assert expected_calibration_error(counts) == pytest.approx((abs(1 - 1.7) + 0.55) / 3, abs=1e-4)
