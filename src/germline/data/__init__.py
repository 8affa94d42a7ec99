"""Named data sets and plain folders, as splits of pools."""

from germline.data.fashion_mnist import fashion_mnist as fashion_mnist
