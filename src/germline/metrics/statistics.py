"""Mean and covariance of features in a file, as clean-fid, pytorch-fid and EDM keep them: an ``.npz`` with mu and sigma."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from germline.core import digest
from germline.core.atomic import replacing
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.core.protocols import Extractor
from germline.core.splits import Splits


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance (divisor n - 1) of a set's features; how many rows, in which space, where that is known.

    Files of other programs hold only mu and sigma. Ours say more, so that two spaces are not mistaken for one.
    """

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]
    n: int | None = None
    extractor: str | None = None
    space: str | None = None


def space_of(extractor: Extractor, data: Splits) -> str:
    """Return a digest of the space that an extractor measures in: equal for two runs only if their features can be compared.

    Raises:
        BadInput: the extractor reads one run's own network.
    """
    needs: tuple[str, ...] = getattr(extractor, "needs", ())
    if "founder" in needs:
        raise BadInput(f"{name_of(extractor)} reads the run's own generation 0, so its statistics mean nothing elsewhere; use another.")
    return digest.of_json([digest.describe(extractor), data.digest if "judge" in needs else None])


def save(statistics: Statistics, path: Path) -> None:
    """Write an ``.npz`` that clean-fid, pytorch-fid and EDM read: mu, sigma, and beside them what else is known."""
    known = {"n": statistics.n, "extractor": statistics.extractor, "space": statistics.space}
    more = {name: np.asarray(value) for name, value in known.items() if value is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, mu=statistics.mean, sigma=statistics.covariance, **more)  # type: ignore[arg-type]


def load(path: Path) -> Statistics:
    """Return the statistics in an ``.npz``, in float64.

    Raises:
        BadInput: no such file, not an ``.npz``, damaged, without mu and sigma, or they are no mean and covariance.
    """
    if not path.is_file():
        raise BadInput(f"There is no file {path}; give an .npz with mu and sigma, or write one with germline measure RUN --write-real.")
    try:
        found = _arrays(path)
    except BadInput:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} cannot be read as an .npz of numbers ({error}); it is damaged or of another kind.") from error
    mean, covariance = _checked(path, found["mu"], found["sigma"])
    n = int(found["n"]) if "n" in found else None
    extractor, space = (str(found[name]) if name in found else None for name in ("extractor", "space"))
    return Statistics(mean, covariance, n, extractor, space)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    opened: object = np.load(path, allow_pickle=False)
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise BadInput(f"{path} should be an .npz that holds mu and sigma, but holds one array; is it images?")
    with opened as file:
        if not {"mu", "sigma"} <= set(file.files):
            raise BadInput(f"{path} should be an .npz that holds mu and sigma, but holds {sorted(file.files)}; is it of another program?")
        return {name: np.asarray(file[name]) for name in ("mu", "sigma", "n", "extractor", "space") if name in file.files}


def _checked(path: Path, mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for name, array, shape in (("mu", mu, (mu.size,)), ("sigma", sigma, (mu.size, mu.size))):
        if array.shape != shape or not np.issubdtype(array.dtype, np.floating):
            raise BadInput(f"{path}: {name} should be floats of shape {shape}, but is {array.dtype} {array.shape}.")
        if not np.isfinite(array).all():
            raise BadInput(f"{path}: {name} holds {int((~np.isfinite(array)).sum())} NaN or infinite values; make the file again.")
    mean, covariance = mu.astype(np.float64), sigma.astype(np.float64)
    size, skew = np.abs(covariance).max(initial=0), np.abs(covariance - covariance.T).max(initial=0)
    if skew > 1e-5 * size or (np.diag(covariance) < 0).any():
        raise BadInput(
            f"{path}: sigma is no covariance: it differs from its transpose by {skew:.2g}, largest value {size:.2g},"
            f" and {int((np.diag(covariance) < 0).sum())} variances are negative; make the file again."
        )
    return mean, (covariance + covariance.T) / 2
