"""Guidance as a wrapper of the network: a pipeline of diffusers runs with its own switched off, so the scale may change on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from germline.core.errors import BadInput
from germline.pipelines.process import Process
from germline.pipelines.texts import arguments


class Guided(nn.Module):
    """Says uncond + w (cond - uncond) where the network would say cond: **w = 1 means no guidance** and costs one evaluation, not two.

    It stands in a pipeline's place for the U-Net or transformer. diffusers itself decides once whether to guide: it breaks when its
    scale falls to 1 in mid-run. The network computes in its own precision; what goes in and comes out is float32, so that the solver
    and the mixing are too. The mixing is linear, so it is the same for eps, v and velocity.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, Eq. 6, whose w is ours minus 1.

    Attributes:
        network: the U-Net or transformer.
        null: what is set against a prompt, one row, by the network's own names (``texts.told``).
        scale: w, or a function of sigma that returns it.
        process: what turns the network's timestep into sigma.
        see: is shown sigma and x0_hat of every evaluation, guided.
    """

    dtype = torch.float32  # what a pipeline makes its latents and embeddings of

    def __init__(
        self,
        network: nn.Module,
        null: Mapping[str, Tensor],
        scale: float | Callable[[float], float],
        process: Process,
        see: Callable[[float, Tensor], None] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.null, self.scale, self.process, self.see = network, null, scale, process, see

    def __getattr__(self, name: str) -> object:  # type: ignore[override]
        """Return what a pipeline reads of a network beside its output: its configuration, its device."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(
        self,
        sample: Float[Tensor, "n c h w"] | None = None,
        timestep: Tensor | None = None,
        encoder_hidden_states: Float[Tensor, "n words f"] | None = None,
        *,
        hidden_states: Float[Tensor, "n c h w"] | None = None,
        pooled_projections: Float[Tensor, "n f"] | None = None,
        added_cond_kwargs: Mapping[str, Tensor] | None = None,
        timestep_cond: Tensor | None = None,
        cross_attention_kwargs: None = None,
        joint_attention_kwargs: None = None,
        return_dict: bool = False,
    ) -> tuple[Float[Tensor, "n c h w"]]:
        """Return the guided output, as a tuple of one; ``sample`` is a U-Net's name for x_t, ``hidden_states`` a transformer's.

        Raises:
            BadInput: the network is told its guidance scale (it is distilled), or something that no pipeline here tells it.
        """
        x_t = hidden_states if sample is None else sample
        assert x_t is not None
        assert timestep is not None
        if timestep_cond is not None or cross_attention_kwargs or joint_attention_kwargs or return_dict:
            raise BadInput(
                "Guidance: a network that was distilled to be told its scale, or is given more than a prompt, cannot be guided here."
            )
        t = timestep.reshape(-1)[0]
        out = self._guided(x_t, t, encoder_hidden_states, pooled_projections, added_cond_kwargs)
        if self.see is not None:
            self.see(level(self.process, float(t)), self.process.x0_hat(out, x_t, t.expand(len(x_t))))
        return (out,)

    def _guided(
        self,
        x_t: Float[Tensor, "n c h w"],
        t: Tensor,
        encoder_hidden_states: Tensor | None,
        pooled_projections: Tensor | None,
        added_cond_kwargs: Mapping[str, Tensor] | None,
    ) -> Float[Tensor, "n c h w"]:
        given = {"encoder_hidden_states": encoder_hidden_states, "pooled_projections": pooled_projections, **(added_cond_kwargs or {})}
        told = {name: rows for name, rows in given.items() if rows is not None}
        nothing = {name: self.null[name].to(x_t).expand(len(x_t), *rows.shape[1:]) for name, rows in told.items()}
        w = self.scale(level(self.process, float(t))) if callable(self.scale) else self.scale
        if w in (0, 1):
            return self._output(x_t, t, told if w else nothing)
        both = {name: torch.cat([nothing[name], rows]) for name, rows in told.items()}
        unconditional, conditional = self._output(torch.cat([x_t, x_t]), t, both).chunk(2)
        return unconditional + w * (conditional - unconditional)

    def _output(self, x_t: Float[Tensor, "n c h w"], t: Tensor, told: Mapping[str, Tensor]) -> Float[Tensor, "n c h w"]:
        dtype = next(parameter.dtype for parameter in self.network.parameters() if parameter.is_floating_point())
        # The sizes that XL is told stay numbers: its own code turns them into waves before it rounds.
        rows = {name: values if name == "time_ids" else values.to(dtype) for name, values in told.items()}
        out: Tensor = self.network(x_t.to(dtype), timestep=t.expand(len(x_t)), **arguments(rows), return_dict=False)[0]
        return out.to(x_t.dtype)


def level(process: Process, t: float) -> float:
    """Return sigma at a timestep, infinite where there is noise alone."""
    return math.inf if process.alpha_bar is None and t >= process.steps else process.sigma(t)
