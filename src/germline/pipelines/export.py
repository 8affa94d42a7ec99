"""A trained pipeline in the forms that other tools open: a diffusers folder, a diffusers LoRA, a kohya LoRA."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from germline.core.atomic import new_folder, replacing
from germline.core.errors import BadInput
from germline.pipelines.lora import ADAPTER
from germline.pipelines.opened import NETWORK
from germline.pipelines.tuned import Tuned

Form = Literal["diffusers", "lora", "kohya"]
WHO = "export"
LORA_FILE, NETWORK_FILE = "pytorch_lora_weights.safetensors", "diffusion_pytorch_model.safetensors"
METADATA = "lora_adapter_metadata"  # where diffusers looks for rank and alpha
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".onnx_data", ".msgpack", ".h5")
INDEX = ".index.json"  # of weights in several files


def export(tuned: Tuned, out: Path, form: Form) -> None:
    """Write what is sampled from, the running mean where there is one, to the new folder or file ``out``.

    "diffusers": a whole pipeline. "lora": a folder for ``pipeline.load_lora_weights``. "kohya": one ``.safetensors`` file.

    Raises:
        BadInput: ``out`` is there already, or the model has no such form.
        GermlineError: the disk is full or the folder is read-only.
    """
    {"diffusers": export_folder, "lora": export_lora, "kohya": export_kohya}[form](tuned, out)


def export_folder(tuned: Tuned, out: Path) -> None:
    """Write a pipeline's folder: the base's files byte for byte, but for the weights of the network, float32 with the change merged in.

    Loaded and saved again, the frozen parts would come out of another version of the libraries: text encoders and tokenizers lose names
    and files on the way. The index names no part whose folder the base lacks, as one from the hub does the safety checker.
    """
    base, inner = tuned.base.folder, NETWORK[tuned.base.kind]
    with new_folder(out) as temporary:
        for path in sorted(base.rglob("*")):
            inside = path.relative_to(base)
            if path.is_file() and not _left_out(inside, inner, changed=bool(tuned.change())):
                (temporary / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, temporary / inside)
        if tuned.change():
            save_file(merged(tuned), temporary / inner / NETWORK_FILE, {"format": "pt"})
        _name_what_is_there(temporary / "model_index.json")


def export_lora(tuned: Tuned, out: Path) -> None:
    """Write a folder with one file, as diffusers' ``save_lora_weights`` does. It tells rank and alpha: else they are taken for equal."""
    rank, alpha, sides = _lora(tuned)
    inner = NETWORK[tuned.base.kind]
    letters = {"down": "lora_A", "up": "lora_B"}
    tensors = {f"{inner}.{module}.{letters[side]}.weight": value for (module, side), value in sides.items()}
    about = {"r": rank, "lora_alpha": alpha, "target_modules": sorted({module for module, _ in sides})}
    metadata = json.dumps({f"{inner}.{name}": value for name, value in about.items()}, sort_keys=True)
    with new_folder(out) as temporary:
        save_file(tensors, temporary / LORA_FILE, {METADATA: metadata})


def export_kohya(tuned: Tuned, out: Path) -> None:
    """Write one file by the names of kohya's programs, with alpha.

    Names are ``lora_unet_`` and the module with "_" for ".", then ``.lora_down.weight``, ``.lora_up.weight``, and ``.alpha``, whose
    quotient by the rank scales the change.

    Modules have diffusers' names, of XL too, which kohya's own trainings name otherwise; readers of kohya's files know both.

    Raises:
        BadInput: the pipeline is Stable Diffusion 3, whose layers kohya cuts otherwise, or ``out`` is no name of a new ``.safetensors``.
    """
    if tuned.base.kind == "sd3":
        raise BadInput(f"{WHO}: kohya's layers of Stable Diffusion 3 are others than diffusers'; export it as lora or as diffusers.")
    if out.suffix != ".safetensors" or out.exists():
        raise BadInput(f"{WHO}: a kohya LoRA is one new file whose name ends in .safetensors, but {out} was named.")
    _, alpha, sides = _lora(tuned)
    names = {(module, side): f"lora_unet_{module.replace('.', '_')}" for module, side in sides}
    tensors = {f"{names[key]}.lora_{key[1]}.weight": value for key, value in sides.items()}
    tensors |= {f"{name}.alpha": torch.tensor(alpha) for name in sorted(set(names.values()))}
    with replacing(out) as temporary:
        save_file(tensors, temporary)


def merged(tuned: Tuned) -> dict[str, Tensor]:
    """Return the network's tensors by its own names, float32, with the LoRA's change added to its weights."""
    network = tuned.network()
    # Not merged in place: the weights are the opened base's own.
    change = {
        f"{name}.base_layer.weight": module.get_delta_weight(ADAPTER)
        for name, module in network.named_modules()
        if isinstance(getattr(module, "lora_A", None), nn.ModuleDict)
    }
    out: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if ".lora_A." not in name and ".lora_B." not in name:
            plain = value + change[name] if name in change else value.clone()  # tensors that share memory cannot be saved
            out[name.replace(".base_layer.", ".")] = plain.contiguous()
    return out


def _lora(tuned: Tuned) -> tuple[int, float, dict[tuple[str, str], Tensor]]:
    """Return rank, alpha, and the LoRA's tensors by (module, "down" or "up").

    Raises:
        BadInput: the model has none.
    """
    change = tuned.change()
    if not change:
        raise BadInput(
            f"{WHO}: this model is its base, unchanged; there is no LoRA to export. Take a later generation, or export diffusers."
        )
    if tuned.lora is None:
        raise BadInput(f"{WHO}: this model was trained whole, so there is no LoRA to export; export it as diffusers, a whole folder.")
    rank, alpha = tuned.lora.rank, tuned.lora.alpha
    sides: dict[tuple[str, str], Tensor] = {}
    for name, array in sorted(change.items()):
        module, _, side = name.removeprefix("lora.").rpartition(".")
        sides[module, side] = torch.from_numpy(np.array(array, np.float32))
    return rank, float(rank if alpha is None else alpha), sides


def _left_out(inside: Path, inner: str, changed: bool) -> bool:
    """Return whether a file of the base is not copied: hidden ones, single-file checkpoints beside the parts, the old network's weights."""
    if any(part.startswith(".") for part in inside.parts):
        return True
    weights = inside.suffix in WEIGHTS or inside.name.endswith(INDEX)
    return weights and (len(inside.parts) == 1 or (inside.parts[0] == inner and changed))


def _name_what_is_there(index: Path) -> None:
    told = json.loads(index.read_text())
    gone = [name for name, of in told.items() if isinstance(of, list) and of != [None, None] and not (index.parent / name).is_dir()]
    if gone:
        index.write_text(json.dumps({**told, **{name: [None, None] for name in gone}}, indent=2) + "\n")
