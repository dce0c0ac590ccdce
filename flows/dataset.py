"""Build a dataset: select products, survey their samples, split, write new shards beside linked ones, prove, describe."""

from functools import cached_property
from typing import Any, Literal

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import ProductSummary, RunSummary

Kind = Literal["denoise", "cutouts", "grasps"]

UNFIXED = {"where", "force", "name", "min_per_class", "classes"}
"""Parameters that may differ from version to version; all others are the recipe, which may not."""


class DatasetParams(Parameters):
    """What to make a dataset of, how to cut it, choose and split."""

    kind: Kind = Field(
        description="denoise: patches of raw and clean cubes; cutouts: candidates of the search; grasps: grasps of one hand"
    )
    where: str = Field(
        "",
        description="take products of runs that meet this, e.g. metric.gain_db > 5 and flow = 'denoise'; empty takes all",
    )
    name: str = Field(
        "", max_length=64, pattern=r"^[A-Za-z0-9_.-]*$", description="name of the dataset; empty: its kind"
    )
    patch: int = Field(32, ge=4, le=512, description="edge of a denoising patch [px]")
    stride: int = Field(0, ge=0, le=512, description="distance of neighbouring patches [px]; 0: the patch's edge")
    min_valid: float = Field(0.9, ge=0, le=1, description="least share of valid pixels in a patch")
    noise: Literal["measured", "simulated"] = Field(
        "measured", description="noise of denoising patches: as measured, or Gaussian noise added to the clean patch"
    )
    noise_low: float = Field(0.5, gt=0, le=100, description="least simulated noise, in units of the cube's own")
    noise_high: float = Field(4.0, gt=0, le=100, description="most simulated noise, in units of the cube's own")
    hand: str = Field("", max_length=32, description="hand whose grasps to take; empty: the one with most")
    max_penetration: float = Field(3e-3, ge=0, le=0.1, description="deepest penetration of a grasp [m]")
    radius: float = Field(0.05, ge=0, le=2, description="embedding distance of near-duplicates, of which one is kept")
    link_radius: float = Field(0.1, ge=0, le=2, description="embedding distance within which groups must share a split")
    class_ratio: float | None = Field(
        None, ge=1, description="most samples of a class over those of the rarest, in training; empty: as they come"
    )
    mixture: dict[str, float] = Field(
        default_factory=dict, description="weight of each stratum in training; empty: as they come"
    )
    coreset: Literal["none", "k_center", "facility", "sensitivity"] = Field(
        "none", description="how to thin the training samples of a version"
    )
    coreset_size: int = Field(0, ge=0, description="training samples that a version adds at most, with a coreset")
    train: float = Field(0.8, gt=0, le=1, description="share of the groups to train on")
    val: float = Field(0.1, ge=0, lt=1, description="share of the groups to validate on")
    test: float = Field(0.1, ge=0, lt=1, description="share of the groups to test on")
    min_per_class: int = Field(1, ge=0, description="least samples of every class; fewer fail the build")
    classes: list[str] = Field(
        default_factory=list, description="classes that must reach min_per_class even if no sample has them"
    )
    seed: int = Field(0, ge=0, description="seed and salt of every choice")

    @property
    def dataset_name(self) -> str:
        """The dataset's name."""
        return self.name or "-".join(filter(None, [self.kind, self.hand]))

    @property
    def recipe(self) -> dict[str, Any]:
        """What all versions of a dataset share."""
        return self.model_dump(mode="json", exclude=UNFIXED) | {"stride": self.stride or self.patch}

    @cached_property
    def selected(self) -> list[Any]:
        from storage.dataset import candidates
        from storage.dataset_sources import ORIGINS

        return candidates(ORIGINS[self.kind].product, self.where)

    def inputs(self) -> dict[str, list[str]]:
        """The products that the query finds now."""
        return {f"source_{i:04d}": [row.uri] for i, row in enumerate(self.selected)}


def closing(products: list[ProductSummary]) -> list[DatasetParams]:
    """At the end of a night: a version of every dataset for which something new was made."""
    from storage.dataset_sources import ORIGINS

    asked = []
    for kind, origin in ORIGINS.items():
        uris = [p.uri for p in products if p.kind == origin.product]
        asked += [{"kind": kind, **options} for options in origin.series(uris)] if uris else []
    return [DatasetParams.model_validate(given) for given in asked]


def plan(params: DatasetParams) -> dict[str, Any]:
    """What a build would look at: new products (a tile each), candidates in them, bytes if all were taken."""
    from storage.dataset import known_sources
    from storage.dataset_layout import sample_bytes
    from storage.dataset_sources import offers
    from tasks.dataset.kinds import kind_of

    known = set(known_sources(params.dataset_name).values())
    new = offers(params.kind, [row for row in params.selected if row.digest not in known], params.hand)
    kind, counts = kind_of(params.kind, **params.recipe), []
    for offer in new:
        try:
            counts.append(len(kind.positions(offer)))
        except ValueError:  # too small for one sample: the build leaves it out by name
            counts.append(0)
    size = sample_bytes(kind.schema(new[0])) if new else 0
    return {"products": len(params.selected), "tiles": len(new), "candidates": sum(counts), "bytes": sum(counts) * size}


@flow(name="dataset")
def dataset(params: DatasetParams) -> RunSummary:
    """Build the next version of a training dataset from published products; the same products give the same version."""
    from storage.dataset_state import only_builder

    with only_builder(params.dataset_name), recorded("dataset", params) as run:
        if run.repeated:
            return run.summary
        from flows._dataset import Build

        with cluster():
            Build(run, params).make()
    return run.summary
