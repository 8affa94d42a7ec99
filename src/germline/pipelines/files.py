"""The parts of a folder that diffusers saved. Safetensors only; nothing is downloaded and no code of the folder's own runs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from germline.core.digest import Json
from germline.core.errors import BadInput, MissingExtra, reason
from germline.core.extras import imported

BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")


def part(who: str, library: str, kind: str, folder: Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a model with all its tensors, frozen, in evaluation. ``who`` asks; errors begin with it.

    Raises:
        MissingExtra: the library is not installed.
        BadInput: the folder holds no such model in safetensors, or lacks some of its tensors.
    """
    try:
        from safetensors import SafetensorError

        module = imported(who, library, "t2i")
        with quiet(module):
            model, report = getattr(module, kind).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, MissingExtra):
            raise
        raise BadInput(f"{who}: the {kind} in {folder} cannot be opened: {reason(error)} Only safetensors are.") from error
    if absent := sorted(report["missing_keys"]):  # they would have been drawn at random
        raise BadInput(f"{who}: the {kind} in {folder} lacks {len(absent)} of its tensors, first {absent[0]}; save it whole.")
    cast = model.float() if dtype == torch.float32 else model.to(dtype)  # diffusers warns of any ``to`` with a number format
    frozen: nn.Module = cast.eval().requires_grad_(False)
    return frozen


def tokenizer(who: str, kind: str, folder: Path) -> object:
    """Return the tokenizer of transformers of this class in a folder.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: there is none.
    """
    try:
        return getattr(imported(who, "transformers", "t2i"), kind).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, MissingExtra):
            raise
        raise BadInput(f"{who}: the tokenizer in {folder} cannot be opened: {reason(error)}") from error


def alpha_bars(who: str, file: Path | None) -> tuple[Float64[np.ndarray, " steps"] | None, int]:
    """Return alpha_bar at each training step, None for flow matching, and the number of steps, of a ``scheduler_config.json``.

    Without a file, those of DDPM (arXiv 2006.11239, Section 4).
    """
    config = json_of(who, file) if file else {}
    if file and not config:
        raise BadInput(f"{who}: there is no {file}, which says what noise the network was trained on; save the pipeline whole.")
    kind = config.get("_class_name", "DDPMScheduler")
    if str(kind).startswith("FlowMatch") or config.get("prediction_type") == "flow_prediction":
        return None, int(str(config.get("num_train_timesteps", 1000)))
    if file and "beta_schedule" not in config and not config.get("trained_betas"):
        raise BadInput(f"{who}: the {kind} of {file} has no betas; DDPM's noise and flow matching are known here.")
    schedule = imported(who, "diffusers", "t2i").DDPMScheduler(**{name: config[name] for name in BETAS if name in config})
    found: np.ndarray = schedule.alphas_cumprod.double().numpy()
    return found, len(found)


@contextmanager
def quiet(library: ModuleType) -> Iterator[None]:
    """Keep the library's own progress bar of loading off the screen."""
    name, _, _ = library.__name__.partition(".")
    settings = importlib.import_module(f"{name}.utils.logging")
    before = settings.is_progress_bar_enabled()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            settings.enable_progress_bar()


def json_of(who: str, file: Path) -> dict[str, Json]:
    """Return a JSON file's content, empty where there is none."""
    try:
        found = json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise BadInput(f"{who}: {file} is no JSON: {error}.") from error
    return found if isinstance(found, dict) else {}
