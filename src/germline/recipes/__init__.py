"""One paper a file: a function whose keyword arguments are the command line's flags, and its presets beside it."""

from germline.recipes import (
    accumulate,
    accumulate_subsample,
    centre_matching,
    chain_of_diffusion,
    command,
    curation,
    density_ratio,
    entropy,
    fresh,
    k_means_coverage,
    lsf,
    neon,
    real_only,
    redifine,
    replace,
    rsidiff,
    self_correction,
    sft,
    sims,
)

ALL = (
    replace,
    real_only,
    accumulate,
    accumulate_subsample,
    fresh,
    entropy,
    lsf,
    sims,
    neon,
    self_correction,
    curation,
    k_means_coverage,
    centre_matching,
    density_ratio,
    chain_of_diffusion,
    redifine,
    rsidiff,
    sft,
    command,
)

__all__ = ["ALL"]
