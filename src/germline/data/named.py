"""The data sets that the command line knows by name."""

from collections.abc import Mapping
from typing import Protocol

from germline.core.splits import Splits
from germline.data.cifar10 import cifar10
from germline.data.digits import digits
from germline.data.fashion_mnist import fashion_mnist
from germline.data.mnist import mnist


class Load(Protocol):
    """Loads a named set at the given split sizes, resized to ``size`` if given."""

    def __call__(self, *, sizes: Mapping[str, int] | None = None, size: int | None = None) -> Splits:
        """Return its splits."""
        ...


NAMED: Mapping[str, Load] = {"fashion-mnist": fashion_mnist, "mnist": mnist, "cifar10": cifar10, "digits": digits}
