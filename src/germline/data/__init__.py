"""Named data sets and plain folders, as splits of pools."""

from germline.data.cifar10 import cifar10 as cifar10
from germline.data.digits import digits as digits
from germline.data.export import export as export
from germline.data.fashion_mnist import fashion_mnist as fashion_mnist
from germline.data.images import Loaded as Loaded
from germline.data.images import load_images as load_images
from germline.data.images import splits_of as splits_of
from germline.data.mnist import mnist as mnist
from germline.data.named import NAMED as NAMED
