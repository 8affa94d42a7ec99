"""Named data sets and plain folders, as splits of pools."""

from germline.data.cifar10 import cifar10
from germline.data.digits import digits
from germline.data.emoji import emoji, emojione
from germline.data.export import export
from germline.data.fashion_mnist import fashion_mnist
from germline.data.images import Loaded, load_images, splits_of
from germline.data.mnist import mnist
from germline.data.toy_digits import toy_digits

__all__ = ["Loaded", "cifar10", "digits", "emoji", "emojione", "export", "fashion_mnist", "load_images", "mnist", "splits_of", "toy_digits"]
