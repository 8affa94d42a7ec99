"""Extractors: images to feature vectors."""

from germline.features.bottleneck import Bottleneck as Bottleneck
from germline.features.classifier import Classifier as Classifier
from germline.features.efficientnet import EfficientNetLite0 as EfficientNetLite0
from germline.features.names import name_of as name_of
from germline.features.pca import PCA as PCA
from germline.features.pixels import Pixels as Pixels
