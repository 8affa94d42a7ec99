"""What takes a pipeline's latents from noise to image: schedulers of diffusers, by name or as the folder has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from jaxtyping import Float
from torch import Tensor

from germline.core.errors import BadInput, reason
from germline.core.extras import imported
from germline.pipelines.files import json_of
from germline.pipelines.opened import WHO
from germline.pipelines.process import Process

Name = Literal["own", "ddim", "euler", "dpmpp_2m"]
# Settings of a folder's own scheduler that say how to solve, not what noise the network was trained on.
HOW = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "euler_at_final",
    "lower_order_final",
    "final_sigmas_type",
)
DDPM = {"ddim": "DDIMScheduler", "euler": "EulerDiscreteScheduler", "dpmpp_2m": "DPMSolverMultistepScheduler"}
FLOW = {"euler": "FlowMatchEulerDiscreteScheduler", "dpmpp_2m": "DPMSolverMultistepScheduler"}
SECOND_ORDER = {"algorithm_type": "dpmsolver++", "solver_order": 2}


class Scheduler(Protocol):
    """A scheduler of diffusers: what is read of it here."""

    timesteps: Float[Tensor, " steps"]
    order: int

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Lay out the steps."""
        ...


class Noisy(Protocol):
    """What is read of a pipeline: ``Opened``, or its folder and noise alone."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        ...

    @property
    def process(self) -> Process:
        """The noise that its network was trained on."""
        ...


def scheduler(opened: Noisy, name: Name) -> Scheduler:
    """Return a new scheduler on the noise that the network was trained on: the folder's own, or a method by name.

    ``ddim``: arXiv 2010.02502, eta = 0. ``euler``: arXiv 2206.00364. ``dpmpp_2m``: DPM-Solver++ of second order, arXiv 2211.01095.

    Raises:
        BadInput: the name or the folder's own class is not known, or DDIM is asked of flow matching.
    """
    library, file = imported(WHO, "diffusers", "t2i"), opened.folder / "scheduler" / "scheduler_config.json"
    config = json_of(WHO, file)
    if name == "own":
        made = getattr(library, str(config.get("_class_name")), None)
        if not isinstance(made, type) or not issubclass(made, library.SchedulerMixin):
            raise BadInput(
                f"{WHO}: {file} names a {config.get('_class_name')}, which diffusers does not have; name a scheduler: {', '.join(DDPM)}."
            )
        if config.get("stochastic_sampling"):
            raise BadInput(f"{WHO}: {file} asks for stochastic sampling, whose noise diffusers draws from no seed of a row; take euler.")
        return _from(made, config, {}, file)
    flow = opened.process.alpha_bar is None
    known = FLOW if flow else DDPM
    if name not in known:
        what = "flow matching, where DDIM is Euler's method" if flow and name in DDPM else "this network"
        raise BadInput(f"{WHO}: there is no scheduler {name!r} for {what}; take own, {' or '.join(known)}.")
    more: Mapping[str, object] = SECOND_ORDER if name == "dpmpp_2m" else {}
    if flow and name == "dpmpp_2m":
        more = {**more, "use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": opened.process.shift}
    plain = {key: value for key, value in config.items() if key not in HOW}
    return _from(getattr(library, known[name]), plain, more, file)


def _from(made: type, config: Mapping[str, object], more: Mapping[str, object], file: Path) -> Scheduler:
    try:
        out: Scheduler = made.from_config(config, **more)  # type: ignore[attr-defined]
    except (TypeError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{WHO}: {file} does not make a {made.__name__}: {reason(error)}") from error
    return out
