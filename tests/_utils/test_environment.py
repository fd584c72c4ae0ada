"""The one check of devices; no GPU is needed."""

import pytest
import torch
from torch import nn

from seglab._utils.environment import device_of, find_device


@pytest.fixture
def two_gpus(monkeypatch):
    """torch with two CUDA GPUs; an empty tensor only records its device."""
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "empty", lambda _, device: type("Empty", (), {"device": torch.device(device)}))


@pytest.mark.parametrize(("device", "found"), [(None, "cpu"), ("cpu", "cpu"), (torch.device("cpu"), "cpu")])
def test_the_cpu_without_a_gpu(device, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert find_device(device) == torch.device(found)


@pytest.mark.parametrize("device", [None, "cuda"])
def test_each_process_of_a_machine_has_a_gpu_of_its_own(two_gpus, device, monkeypatch):
    assert find_device(device) == torch.device("cuda")
    for rank, index in ((0, 0), (1, 1), (2, 0)):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert find_device(device) == torch.device("cuda", index)
    assert find_device("cuda:1") == torch.device("cuda", 1)
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_the_error_about_another_device_lists_those_of_this_machine(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used on this machine; available: cpu$"):
        find_device(device)


def test_the_device_of_a_module():
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
