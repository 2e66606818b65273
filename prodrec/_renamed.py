"""Keep the module and function names of version 0.1 working for one version, with a `DeprecationWarning`.

`MODULES` maps a module of 0.1 to the one that took its place, `NAMES` a former name in a module to its new one: a
name there, or the full path of a name in another module.
"""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = {
    "prodrec.data.sources": "prodrec.data.readers",
    "prodrec.data.pixels": "prodrec.models.pixels",
    "prodrec.data.features": "prodrec.models.features",
    "prodrec.models.cnn": "prodrec.models.networks",
    "prodrec.models.transfer": "prodrec.models.backbones",
    "prodrec.recommend.embed": "prodrec.recommend.embedders",
    "prodrec.recommend.metric": "prodrec.recommend.metric_learning",
    "prodrec.recommend.why": "prodrec.recommend.explain",
    "prodrec.recommend.similar": "prodrec.recommend.recommender",
    "prodrec.recommend.personal": "prodrec.recommend.blend",
    "prodrec.recommend.tastes": "prodrec.recommend.profiles",
    "prodrec.apps.demo": "prodrec.apps.pipeline",
    "prodrec.apps.stock": "prodrec.apps.live",
    "prodrec.apps.trained": "prodrec.apps.workspace",
}

NAMES = {
    "prodrec.core": {"Stages": "Profiler", "uninterrupted": "defer_interrupt"},
    "prodrec.recommend.ranking": {"first_of_each": "deduplicate"},
}


def former(module: str, name: str):
    """Return the object that was called `name` in `module`, with a warning; `AttributeError` where there was none."""
    new = NAMES.get(module, {}).get(name)
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    place, _, attribute = new.rpartition(".")
    place = place or module
    text = (
        f"`{module}.{name}` is now `{place}.{attribute}`: the old name works until the next version"
    )
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(place), attribute)


class _Alias(Loader):
    """Make a module of 0.1 an empty one whose attributes are those of its successor."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return ModuleType(spec.name)

    def exec_module(self, module: ModuleType):
        old = module.__name__
        new = MODULES[old]
        text = f"`{old}` is now `{new}`: the old name works until the next version"
        warnings.warn(text, DeprecationWarning, stacklevel=2)

        def lookup(name: str):
            if name in NAMES.get(old, {}):
                return former(old, name)
            return getattr(importlib.import_module(new), name)

        module.__getattr__ = lookup


class _Addition(Loader):
    """Load a module as ever, and let it answer for its former names."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def __getattr__(self, name: str):  # such as `get_source`, for tracebacks
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType):
        self.loader.exec_module(module)
        name = module.__name__
        module.__getattr__ = lambda attribute: former(name, attribute)


class Renamed(MetaPathFinder):
    """Find the modules of `MODULES`, and those of `NAMES` with their former names."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """Return the spec of a renamed module, None for every other."""
        if fullname in MODULES:
            return ModuleSpec(fullname, _Alias())
        if fullname in NAMES and (spec := PathFinder.find_spec(fullname, path)) is not None:
            spec.loader = _Addition(spec.loader)
            return spec
        return None


def install():
    """Put the finder first, once."""
    if not any(isinstance(finder, Renamed) for finder in sys.meta_path):
        sys.meta_path.insert(0, Renamed())
