"""Named data sets and plain folders, as splits of pools."""

from germline.data.cifar10 import cifar10 as cifar10
from germline.data.digits import digits as digits
from germline.data.fashion_mnist import fashion_mnist as fashion_mnist
from germline.data.mnist import mnist as mnist
