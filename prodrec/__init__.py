"""Product classification and recommendation from pictures and text.

The names below are what most people need. Each is imported when it is first used, so that `import
prodrec` costs nothing and TensorFlow is loaded only by those who build a model.
"""

__version__ = "0.2.0"

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._renamed import former as _former
from ._renamed import install as _install

_install()

if _TYPE_CHECKING:
    from .apps.browser import Browser as Browser
    from .data.audit import audit as audit
    from .data.bluecart import BlueCart as BlueCart
    from .data.catalog import Catalog as Catalog
    from .data.datasets import read_amazon as read_amazon
    from .data.datasets import read_fashion as read_fashion
    from .data.datasets import read_retail as read_retail
    from .data.datasets import read_walmart as read_walmart
    from .data.demo import load_demo as load_demo
    from .data.demo import load_demo_defects as load_demo_defects
    from .data.demo import load_demo_events as load_demo_events
    from .data.readers import read_data as read_data
    from .data.readers import read_folder as read_folder
    from .data.readers import read_table as read_table
    from .data.split import leaks as leaks
    from .data.split import split as split
    from .models.classifier import ImageClassifier as ImageClassifier
    from .models.hybrid import HybridClassifier as HybridClassifier
    from .models.text import TextClassifier as TextClassifier
    from .models.tuning import tune as tune
    from .recommend.blend import Blend as Blend
    from .recommend.collaborative import ALS as ALS
    from .recommend.collaborative import BPR as BPR
    from .recommend.collaborative import Collaborative as Collaborative
    from .recommend.collaborative import ItemKNN as ItemKNN
    from .recommend.collaborative import Popularity as Popularity
    from .recommend.complements import Complements as Complements
    from .recommend.embedders import ColorHistogram as ColorHistogram
    from .recommend.embedders import Embedder as Embedder
    from .recommend.embedders import ImageEmbedder as ImageEmbedder
    from .recommend.embedders import TfidfEmbedder as TfidfEmbedder
    from .recommend.history import History as History
    from .recommend.index import FaissIndex as FaissIndex
    from .recommend.index import Index as Index
    from .recommend.joint import JointEmbedder as JointEmbedder
    from .recommend.linear import EASE as EASE
    from .recommend.linear import SLIM as SLIM
    from .recommend.markov import Markov as Markov
    from .recommend.quantized import QuantizedIndex as QuantizedIndex
    from .recommend.recommender import Recommender as Recommender
    from .recommend.sentences import SentenceEmbedder as SentenceEmbedder
    from .recommend.sequential import Sequential as Sequential
    from .recommend.sparse import SearchEmbedder as SearchEmbedder
    from .recommend.two_tower import TwoTower as TwoTower
    from .recommend.user_models import UserModel as UserModel

_MODULES = {
    "Catalog": "data.catalog",
    "load_demo": "data.demo",
    "load_demo_events": "data.demo",
    "load_demo_defects": "data.demo",
    "read_fashion": "data.datasets",
    "read_retail": "data.datasets",
    "read_amazon": "data.datasets",
    "read_walmart": "data.datasets",
    "read_folder": "data.readers",
    "read_table": "data.readers",
    "read_data": "data.readers",
    "BlueCart": "data.bluecart",
    "audit": "data.audit",
    "split": "data.split",
    "leaks": "data.split",
    "ImageClassifier": "models.classifier",
    "TextClassifier": "models.text",
    "HybridClassifier": "models.hybrid",
    "tune": "models.tuning",
    "Embedder": "recommend.embedders",
    "ImageEmbedder": "recommend.embedders",
    "ColorHistogram": "recommend.embedders",
    "TfidfEmbedder": "recommend.embedders",
    "Index": "recommend.index",
    "FaissIndex": "recommend.index",
    "QuantizedIndex": "recommend.quantized",
    "Recommender": "recommend.recommender",
    "JointEmbedder": "recommend.joint",
    "SentenceEmbedder": "recommend.sentences",
    "SearchEmbedder": "recommend.sparse",
    "History": "recommend.history",
    "UserModel": "recommend.user_models",
    "Popularity": "recommend.collaborative",
    "ItemKNN": "recommend.collaborative",
    "ALS": "recommend.collaborative",
    "BPR": "recommend.collaborative",
    "Collaborative": "recommend.collaborative",
    "Markov": "recommend.markov",
    "EASE": "recommend.linear",
    "SLIM": "recommend.linear",
    "Sequential": "recommend.sequential",
    "TwoTower": "recommend.two_tower",
    "Blend": "recommend.blend",
    "Complements": "recommend.complements",
    "Browser": "apps.browser",
}

# where `load` finds the classes that it may meet before somebody has imported them, by the name
# in the manifest
SAVED_IN = _MODULES | {
    "Markov": "recommend.markov",
    "EASE": "recommend.linear",
    "SLIM": "recommend.linear",
    "Sequential": "recommend.sequential",
    "MetricEmbedder": "recommend.metric_learning",
    "PgVectorIndex": "recommend.pgvector",
    "PCAEmbedder": "recommend.reduction",
    "PresetTextEmbedder": "recommend.joint",
    "Reduced": "recommend.reduction",  # its name in version 0.1
}

__all__ = [*_MODULES]


def __getattr__(name: str):
    if name not in _MODULES:
        try:
            return _former("prodrec", name)
        except AttributeError:
            names = ", ".join(__all__)
            raise AttributeError(f"module 'prodrec' has no name {name!r}; it has {names}") from None
    value = getattr(_import_module(f"prodrec.{_MODULES[name]}"), name)
    globals()[name] = value  # asked for once
    return value


def __dir__():
    return sorted({*globals(), *__all__})
