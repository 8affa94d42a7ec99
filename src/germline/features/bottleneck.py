"""What generation 0's network sees in an image: the latents of latent-space filtering."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.diffusion.model import ClassModel, of_images
from germline.diffusion.precision import threads
from germline.diffusion.unet import UNet


@dataclass(frozen=True)
class Bottleneck:
    """The middle block's output of generation 0's averaged U-Net for the clean image, told that its noise level is ``sigma``.

    Flattened, or with ``pooled`` the mean over space. Generation 0 was trained on real data and is frozen for the whole chain, so
    every generation is measured in one space. All rows are fed one condition: a row's own label would leak into its features. It is the
    null class, or ``label`` where generation 0 was trained without dropping labels and does not know the null class.

    Source: arXiv 2511.12742, Section 4 (the layer); clean input and one condition are ours.

    Raises:
        BadInput: generation 0's model is not a U-Net of germline, ``sigma`` is not positive, or ``label`` is none of its classes.
    """

    sigma: float = 1.0
    pooled: bool = False
    label: int | None = None
    needs: ClassVar[tuple[str, ...]] = ("founder",)

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise BadInput(f"Bottleneck: sigma must be above 0, but is {self.sigma}.")

    @property
    def name(self) -> str:
        """Such as "bottleneck" or "bottleneck-pooled"; with the noise level when it is not 1, and the label if any."""
        level = "" if self.sigma == 1 else f"-sigma{self.sigma:g}"
        label = "" if self.label is None else f"-label{self.label}"
        return f"bottleneck{'-pooled' if self.pooled else ''}{level}{label}"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n f"]:
        """Return (n, channels * height/4 * width/4) float32, or (n, channels) when pooled."""
        model = ctx.model(0)
        if not isinstance(model, ClassModel) or not isinstance(model.average, UNet):
            found = model.average if isinstance(model, ClassModel) else model
            raise BadInput(
                f"Bottleneck reads the middle block of a germline U-Net, but generation 0's model is a {type(found).__name__};"
                " found the run with TrainDenoiser, or use another extractor."
            )
        if self.label is not None and not 0 <= self.label < model.null:
            raise BadInput(f"Bottleneck: label must be one of the classes 0 to {model.null - 1}, but is {self.label}.")
        n, fed = len(pool), model.null if self.label is None else self.label
        with threads(1), torch.inference_mode():
            latents = model.bottleneck(of_images(pool.images[:]), torch.full((n,), self.sigma), torch.full((n,), fed))
            features: np.ndarray = (latents.mean((2, 3)) if self.pooled else latents.flatten(1)).contiguous().numpy()
        return features
