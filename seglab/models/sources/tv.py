"""torchvision's weights for segmentation by their own name: `tv:FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1`."""

from torchvision.models import get_model_weights, get_weight

from seglab._utils.errors import unknown
from seglab.models.registry import MODELS
from seglab.models.spec import ZOO


def model_and_weights(name: str) -> str:
    """The name of these weights in `MODELS`, as `"fcn_resnet50:coco"`; all of torchvision's are there.

    Raises:
        ValueError: weights of another task, or unknown ones.
    """
    official = {
        str(get_model_weights(model)[row.source]): f"{model}:{key}"
        for model, spec in MODELS.items() if spec.library == "torchvision"
        for key, row in spec.weights.items() if row.source != ZOO
    }  # fmt: skip
    try:
        found = get_weight(name)
    except (ValueError, AttributeError, KeyError):
        raise unknown("weights of torchvision", name, official) from None
    if str(found) not in official:
        task = type(found).__module__.removeprefix("torchvision.models.")
        raise ValueError(f"tv:{name} are weights of {task}, not of segmentation; known: {', '.join(official)}")
    return official[str(found)]
