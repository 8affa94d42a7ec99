"""One paper a file: a function whose keyword arguments are the command line's flags, and its presets beside it."""

from germline.recipes import accumulate, accumulate_subsample, entropy, fresh, real_only, replace

ALL = (replace, real_only, accumulate, accumulate_subsample, fresh, entropy)

__all__ = ["ALL"]
