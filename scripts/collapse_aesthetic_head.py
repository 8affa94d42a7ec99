"""Make src/germline/scorers/embedded/aesthetic_v2.safetensors from the published head: python scripts/collapse_aesthetic_head.py HEAD.

HEAD is sac+logos+ava1-l14-linearMSE.pth of christophschuhmann/improved-aesthetic-predictor (sha256
21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0), or its tensors as safetensors. Five linear layers without
activations are one vector and one number, computed in float64.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from germline.scorers.aesthetic import head

weight, bias = head(Path(sys.argv[1]))
out = Path(__file__).parents[1] / "src" / "germline" / "scorers" / "embedded" / "aesthetic_v2.safetensors"
out.parent.mkdir(exist_ok=True)
save_file({"weight": weight, "bias": np.array([bias])}, out)
print(f"{out}: |w| = {np.linalg.norm(weight):.6f}, b = {bias:.6f}")
