"""Predictions in several class sets, shown in one: the classes of the data, then those that only models have.

As in `evaluation.measurements`, predictions are translated after the argmax, a class without a counterpart is an error,
and a class of the data that a model lacks is void for all models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.palette import voc_colors
from seglab.data.translation import Translation, translate
from seglab.inference.prediction import Prediction

Predictions = Mapping[str, Prediction]  # model → its prediction for the image
MOST = 254  # classes in a label map


@dataclass(frozen=True)
class Joint:
    """The predictions of several models for one image in one class set.

    Attributes:
        predictions: in the models' own classes.
        data: the class set of the data; for a photograph that of the first model.
        classes: the same classes, then those of the models that have no counterpart among them.
        masks: model → uint8 (H,W) in `classes`; 255 for a class that is in neither.
        evaluated: the classes of the data that all models have; models in `foreign` do not count.
        foreign: models that have no class of the data, or only its background.
        translated: the other models whose classes differ from those of the data.
    """

    predictions: Predictions
    data: ClassSet
    classes: ClassSet
    masks: dict[str, Tensor]
    evaluated: tuple[str, ...]
    foreign: tuple[str, ...]
    translated: tuple[str, ...]

    def sentences(self, target: bool = True) -> list[str]:
        """What a reader has to know where class sets differ; `target`: whether there is one, and thus an IoU."""
        own = "its mask shows its own classes" + ", and no IoU is computed for it" * target
        sentences = [f"{name} has no class in common with {self.data.name} ({_listed(self.data.names)}): {own}."
                for name in self.foreign]  # fmt: skip
        if self.translated:
            sentences.append(f"Classes of {', '.join(self.translated)} are translated where there is a counterpart.")
        lacking = [name for name in self.data.names if name not in self.evaluated]
        if lacking and self.translated and target:
            sentences.append(f"Void in the IoU, because a model lacks the class: {_listed(lacking)}.")
        return sentences


def join(predictions: Predictions, data: ClassSet) -> Joint:
    """The predictions in the classes of the data; see `Joint`."""
    names, colors, translations = list(data.names), list(data.colors), {}
    for model, p in predictions.items():
        translations[model] = translate(p.classes, data)
        for name in translations[model].without_counterpart:
            if name not in names and len(names) < MOST:
                color = p.classes.colors[p.classes.index(name)]
                names.append(name)
                colors.append(color if color not in colors else next(c for c in voc_colors(256)[1:] if c not in colors))
    classes = replace(data, names=tuple(names), colors=tuple(colors), hatches=())
    other = [model for model, p in predictions.items() if p.classes.names != data.names]
    known = {model: set(translation.indices) - {None} for model, translation in translations.items()}
    foreign = [model for model in other if not known[model] - {data.background}]
    compared = [known[model] for model in predictions if model not in foreign]
    evaluated = [n for i, n in enumerate(data.names) if compared and all(i in indices for indices in compared)]
    masks = {model: _table(translations[model], classes)[p.mask.long()] for model, p in predictions.items()}
    translated = tuple(model for model in other if model not in foreign)
    return Joint(predictions, data, classes, masks, tuple(evaluated), tuple(foreign), translated)


def _table(translation: Translation, classes: ClassSet) -> Tensor:
    """uint8 (256,): class of the model → its index in the joint classes."""
    added = {name: i for i, name in enumerate(classes.names) if name not in translation.target.names}
    table = torch.full((256,), IGNORE_INDEX, dtype=torch.uint8)
    for own, (name, index) in enumerate(zip(translation.source.names, translation.indices, strict=True)):
        table[own] = added.get(name, IGNORE_INDEX) if index is None else index
    return table


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join([*names[:8], *["…"] * (len(names) > 8)])
