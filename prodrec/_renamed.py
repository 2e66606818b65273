"""Keep the module and function names of version 0.1 working for one version, with a
`DeprecationWarning`.

`MODULES` maps a module of 0.1 to the one that took its place, `NAMES` a former name in a module to
its new one: a name there, or the full path of a name in another module.
"""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["MODULES", "NAMES", "Renamed", "former", "install"]

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
    "prodrec.recommend.feedback": "prodrec.recommend.profiles",
    "prodrec.apps.demo": "prodrec.apps.pipeline",
    "prodrec.apps.stock": "prodrec.apps.live",
    "prodrec.apps.trained": "prodrec.apps.workspace",
    "prodrec.apps.recommenders": "prodrec.apps.commands_shop",
}

NAMES = {
    "prodrec": {
        "Personal": "prodrec.recommend.blend.Blend",
    },
    "prodrec.core": {
        "Stages": "Profiler",
        "uninterrupted": "defer_interrupt",
    },
    "prodrec.data.catalog": {
        "digest": "prodrec.data.pictures.digest",
        "picture_format": "prodrec.data.pictures.picture_format",
        "check_upload": "prodrec.data.pictures.check_upload",
        "get_picture": "prodrec.data.pictures.get_picture",
        "fetch": "prodrec.data.pictures.fetch",
        "store_url": "prodrec.data.pictures.store_url",
        "shrink": "prodrec.data.pictures.shrink",
        "read_image": "prodrec.data.pictures.read_image",
        "MAX_PIXELS": "prodrec.data.pictures.MAX_PIXELS",
        "MAX_UPLOAD": "prodrec.data.pictures.MAX_UPLOAD",
        "MIN_SIDE": "prodrec.data.pictures.MIN_SIDE",
        "UPLOADS": "prodrec.data.pictures.UPLOADS",
        "MAX_BYTES": "prodrec.data.pictures.MAX_BYTES",
        "SUFFIXES": "prodrec.data.pictures.SUFFIXES",
    },
    "prodrec.data.sources": {
        "parse_price": "prodrec.data.datasets.parse_price",
        "plain_text": "prodrec.data.datasets.plain_text",
        "read_amazon": "prodrec.data.datasets.read_amazon",
        "read_amazon_reviews": "prodrec.data.datasets.read_amazon_reviews",
        "read_fashion": "prodrec.data.datasets.read_fashion",
        "read_retail": "prodrec.data.datasets.read_retail",
        "read_walmart": "prodrec.data.datasets.read_walmart",
        "read_json_lines": "prodrec.data.tables.read_json_lines",
    },
    "prodrec.data.audit": {
        "normalise_titles": "prodrec.data.text.normalise_titles",
        "Fingerprint": "prodrec.data.duplicates.Fingerprint",
        "fingerprint": "prodrec.data.duplicates.fingerprint",
        "near_candidates": "prodrec.data.duplicates.near_candidates",
        "near_pairs": "prodrec.data.duplicates.near_pairs",
        "picture_difference": "prodrec.data.duplicates.picture_difference",
    },
    "prodrec.data.bluecart": {
        "download_pictures": "prodrec.data.downloads.download_pictures",
    },
    "prodrec.data.drawing": {
        "SIZE": "prodrec.data.canvas.SIZE",
        "DARK": "prodrec.data.canvas.DARK",
        "METAL": "prodrec.data.canvas.METAL",
        "GOLD": "prodrec.data.canvas.GOLD",
        "LEATHER": "prodrec.data.canvas.LEATHER",
        "Sheet": "prodrec.data.canvas.Canvas",
    },
    "prodrec.data.explore": {
        "figure_categories": "categories_figure",
        "figure_samples": "samples_figure",
        "figure_prices": "prices_figure",
        "figure_lengths": "lengths_figure",
        "figure_words": "words_figure",
        "figure_missing": "missing_figure",
    },
    "prodrec.models.text": {
        "label_stems": "prodrec.models.words.label_forms",
    },
    "prodrec.models.hybrid": {
        "fusion_weight": "prodrec.models.vote.fusion_weight",
    },
    "prodrec.models.tuning": {
        "SPACES": "prodrec.models.search_spaces.SPACES",
    },
    "prodrec.models.report": {
        "draw_comparison": "comparison_figure",
    },
    "prodrec.models.calibration": {
        "draw_reliability": "reliability_figure",
    },
    "prodrec.models.batchnorm": {
        "settle_batchnorm": "recalibrate_batchnorm",
    },
    "prodrec.recommend.ranking": {
        "first_of_each": "deduplicate",
    },
    "prodrec.recommend.why": {
        "why_figure": "prodrec.recommend.explain.explain_figure",
    },
    "prodrec.recommend.embed": {
        "TextEmbedder": "prodrec.recommend.embedders.TfidfEmbedder",
        "Reduced": "prodrec.recommend.reduction.PCAEmbedder",
        "OpenVINO": "prodrec.models.engines.OpenVINO",
        "ENGINES": "prodrec.models.engines.ENGINES",
    },
    "prodrec.recommend.history": {
        "Collaborative": "prodrec.recommend.collaborative.Collaborative",
        "held_out": "ground_truth",
        "rank_scores": "prodrec.recommend.cold_start.rank_scores",
        "content_map": "prodrec.recommend.cold_start.content_map",
        "apply_map": "prodrec.recommend.cold_start.apply_map",
        "content_scores": "prodrec.recommend.cold_start.content_scores",
        "blend": "prodrec.recommend.blend.blend",
        "blend_weights": "prodrec.recommend.blend.blend_weights",
    },
    "prodrec.recommend.personal": {
        "Personal": "prodrec.recommend.blend.Blend",
        "choice_weights": "prodrec.recommend.choices.fit_conditional_logit",
        "borrow_shares": "prodrec.recommend.cold_start.neighbour_weights",
        "nearest_scores": "prodrec.recommend.cold_start.nearest_scores",
        "recency": "prodrec.recommend.choices.time_decay",
        "mean_stars": "prodrec.recommend.choices.bayesian_rating",
    },
    "prodrec.recommend.tastes": {
        "Tastes": "prodrec.recommend.profiles.Profiles",
        "Taste": "prodrec.recommend.profiles.UserProfile",
        "taste_of": "prodrec.recommend.profiles.user_profile",
    },
    "prodrec.apps.schemas": {
        "Question": "QuestionBody",
        "read_question": "query_arguments",
    },
    "prodrec.apps.stock": {
        "Shop": "prodrec.apps.live.LiveRecommender",
        "Together": "prodrec.apps.live.MicroBatcher",
        "Changes": "prodrec.apps.live.ChangeLog",
    },
    "prodrec.apps.trained": {
        "Trained": "prodrec.apps.workspace.Workspace",
        "open_trained": "prodrec.apps.workspace.open_workspace",
        "current": "prodrec.apps.workspace.current_folder",
        "unseen": "prodrec.data.split.unseen",
        "labelled": "prodrec.data.labels.labelled",
    },
    "prodrec.apps.recommenders": {
        "Version": "prodrec.apps.workspace.Workspace",
        "observed": "prodrec.apps.commands_watch.observe_sides",
        "compare": "prodrec.apps.commands_watch.model_drift",
        "relearn": "prodrec.apps.commands_watch.retrained",
        "database_beside": "prodrec.apps.workspace.database_beside",
        "read_feedback": "prodrec.apps.commands_watch.read_feedback",
        "grown_catalogue": "prodrec.apps.commands_watch.grown_catalogue",
    },
    "prodrec.apps.demo": {
        "run_demo": "prodrec.apps.pipeline.run_pipeline",
    },
    "prodrec.models.transfer": {
        "cut": "prodrec.models.fine_tuning.cut",
        "find_backbone": "prodrec.models.fine_tuning.find_backbone",
        "unfreeze_from": "prodrec.models.fine_tuning.unfreeze_from",
        "fine_tune": "prodrec.models.fine_tuning.fine_tune",
        "warm_start": "prodrec.models.fine_tuning.warm_start",
        "begin_with": "prodrec.models.fine_tuning.warm_start",
    },
}


def former(
    module: str,  # as it is imported
    name: str,  # of the function or class there
):
    """Return the object that was called `name` in `module`, with a warning; `AttributeError` where
    there was none.
    """
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

    def find_spec(
        self,
        fullname: str,  # of the module that is imported
        path=None,  # of the package, as Python gives it
        target=None,  # a module that is reloaded
    ) -> ModuleSpec | None:
        """Return the spec of a renamed module, None for every other."""
        if fullname in MODULES:
            return ModuleSpec(fullname, _Alias())
        if (
            fullname in NAMES
            and fullname != "prodrec"
            and (spec := PathFinder.find_spec(fullname, path)) is not None
        ):
            spec.loader = _Addition(spec.loader)
            return spec
        return None


def install():
    """Put the finder first, once."""
    if not any(isinstance(finder, Renamed) for finder in sys.meta_path):
        sys.meta_path.insert(0, Renamed())
