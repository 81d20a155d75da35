"""Whole models, adapters and averages of a run, in the form of its base."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.errors import CheckpointError
from parentage.records.dtypes import DType
from parentage.records.json_files import write_text
from parentage.records.training import WeightFile
from parentage.training.bases import Base, digests_in
from parentage.training.settings import Lora

__all__ = ["Writer", "named_as_in", "swapped", "trainable"]


def trainable(model: Any) -> dict[str, Any]:
    """Parameters that a run changes, by the model's own names, in its order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def named_as_in(base: Base, model: Any) -> dict[str, str]:
    """The base's name of each tensor of the model, by the model's; a head's prefix may be there or not."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    found = {}
    for name in model.state_dict():
        for known in (name, name.removeprefix(prefix), prefix + name):
            if known in base.tensors:
                found[name] = known
                break
    return found


class Writer:
    """Writes what a model is now. ``lora``: the model carries an adapter, written alone or merged."""

    def __init__(self, base: Base, model: Any, lora: Lora | None) -> None:
        self.base, self.model, self.lora = base, model, lora
        if lora is None:
            self._check_names()

    def _check_names(self) -> None:
        names = named_as_in(self.base, self.model)
        lost = [name for name in trainable(self.model) if name not in names]
        if lost:
            raise CheckpointError(
                f"{lost[0]} would be trained, and has no place in the base's files",
                code="training-tensors",
                where=self.base.locator,
                hint="this architecture is loaded in another form than it is stored in; train an adapter",
            )

    def write(self, folder: Path) -> tuple[WeightFile, ...]:
        """Fill a folder; the weight files in it. Raises ``OutputError``, ``CheckpointError``."""
        if self.lora is None:
            return self._weights(folder, self.model)
        if self.lora.merge:
            return self._weights(folder, copy.deepcopy(self.model).merge_and_unload())
        return self._adapter(folder)

    def _weights(self, folder: Path, model: Any) -> tuple[WeightFile, ...]:
        names = named_as_in(self.base, model)
        state = model.state_dict()
        made = {known: state[name] for name, known in names.items()}

        def numbers(name: str, dtype: DType) -> NDArray[np.unsignedinteger] | None:
            tensor = made.get(name)
            return None if tensor is None or not dtype.is_float else bits_of(tensor, dtype)

        return self.base.write(folder, numbers)

    def _adapter(self, folder: Path) -> tuple[WeightFile, ...]:
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        found = get_peft_model_state_dict(self.model)
        plain = {name: t.detach().contiguous().cpu() for name, t in sorted(found.items())}
        save_file(plain, str(folder / "adapter_model.safetensors"), {"format": "pt"})
        settings = self.model.peft_config["default"].to_dict()
        settings |= {"base_model_name_or_path": self.base.locator, "inference_mode": True}
        # peft has sets in it, whose order changes from run to run.
        text = json.dumps(settings, default=_listed, indent=2, sort_keys=True, ensure_ascii=False)
        write_text(folder / "adapter_config.json", text + "\n")
        self.base.write_beside(folder, tokenizer_only=True)
        return digests_in(folder)


def _listed(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def bits_of(tensor: Any, dtype: DType) -> NDArray[np.unsignedinteger]:
    """Storage bits of a tensor of torch's, rounded once to nearest, ties to even."""
    import torch

    kinds = {
        DType.F64: (torch.float64, torch.int64),
        DType.F32: (torch.float32, torch.int32),
        DType.F16: (torch.float16, torch.int16),
        DType.BF16: (torch.bfloat16, torch.int16),
    }
    kind, words = kinds[dtype]
    plain = tensor.detach().to("cpu", kind).contiguous().view(words).numpy()
    found: NDArray[np.unsignedinteger] = plain.view(dtype.storage).reshape(-1)
    return found


@contextmanager
def swapped(parameters: Mapping[str, Any], others: Mapping[str, Any]) -> Iterator[None]:
    """The parameters have other values inside."""
    import torch

    own = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(others[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(own[name])
