"""Denoise a spectral cube: survey the scene, project it on its components, denoise those, go back."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from prefect import flow
from pydantic import Field, TypeAdapter, field_validator, model_validator

from flows._cluster import cluster
from flows._sources import as_product, with_product
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary

Method = Literal[
    "auto", "hyres", "hyminor", "forpdn", "wsrrr", "otvca", "rctv", "fasthyde", "fasthyin", "l1hymixde", "onnx"
]

FOLLOWS = ("raw_cube",)


class DenoiseParams(Parameters):
    """Which cube, which method, how."""

    source: str = Field(description="file, product URI or product id of a (y, x, band) cube")
    method: Method = Field("auto", description="denoising method; see docs/denoise.md")
    rank: int | None = Field(
        None, ge=1, le=4096, description="number of spectral components to keep; empty: the number of least risk"
    )
    robust: bool | None = Field(
        None,
        description="mend impulses, dead lines and stripes first; empty: as the method does, auto decides by looking",
    )
    bands: str | None = Field(
        None,
        description='bands to use, the others pass through unchanged: numbers from 0, as "0-99, 120", or wavelengths, '
        'as "450-900 nm"; empty: all that the file does not call bad',
    )
    mask: str | None = Field(
        None,
        description=".npy file of booleans (y, x), (band,) or (y, x, band), True = valid, or a product with a mask; "
        "counts together with the cube's own",
    )
    keep_rare: bool = Field(
        False, description="give pixels from which more than noise was removed their values back, mended if robust"
    )
    model: str | None = Field(
        None,
        description="ONNX file of a network of your own, for the method onnx: float32 (1, band, y, x) or (1, 1, band, y, x) to the "
        "same shape",
    )
    options: dict[str, bool | float | str | list[int]] = Field(
        default_factory=dict, description="further parameters of the method, see docs/denoise.md"
    )
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="of the random probe in otvca and rctv; the other methods draw nothing"
    )
    tile: int = Field(
        512, ge=1, le=8192, description="edge of a tile's core [px]; small tiles are slower, not different"
    )

    @field_validator("bands", mode="before")
    @classmethod
    def _bands(cls, value: object) -> object:
        from tasks.denoise.bands import pieces

        text = str(value) if isinstance(value, int) else value
        if isinstance(text, str) and text.strip():
            pieces(text)
            return text
        return None if isinstance(text, str) else text

    @model_validator(mode="after")
    def _options(self) -> "DenoiseParams":
        """Give each option the type that the method declares: a form and a command line send text."""
        from tasks.denoise.methods import option_types

        types = option_types(self.method)
        if self.rank is not None and "rank" not in types:
            raise ValueError(
                f"a rank of {self.rank} was given, but {self.method} keeps all components; leave rank empty or choose hyres"
            )
        if self.options.get("stripes") == "rows":
            raise ValueError(
                "stripes=rows was given, but a run expects them along y; turn the cube first, "
                'or call denoise(cube, "l1hymixde", stripes="rows")'
            )
        if (self.model is None) == (self.method == "onnx") or "model" in self.options:
            raise ValueError(
                f"the method is {self.method} and the model {self.model or 'not given'}, expected a model with the method onnx "
                "and with no other; fill in or clear the field model"
            )
        for name, value in self.options.items():
            if name in types:  # the method itself refuses an unknown name, and says which it knows
                told = TypeAdapter(types[name]).validate_python(value)
                self.options[name] = list(told) if isinstance(told, tuple) else told
        return self

    def inputs(self) -> dict[str, list[str]]:
        """The cube, and the mask and the model where they are given."""
        given = {"mask": self.mask, "model": self.model}
        return {"source": [self.source]} | {name: [path] for name, path in given.items() if path}


def plan(params: DenoiseParams) -> dict[str, Any]:
    """Tiles, bytes and memory of the restoring pass over a product, or over the cube that a file holds."""
    from flows._plan import tiled
    from storage.product import Product
    from storage.sources import product_row

    row = product_row(params.source)
    if row is None:
        from flows.ingest import IngestParams
        from flows.ingest import plan as ingest_plan

        shape = tuple(ingest_plan(IngestParams.model_validate({"source": params.source}))["shape"])
    else:
        shape = Product(as_product(params.source, "raw_cube")).shape
    edge = min(params.tile, max(shape[:2]))
    return tiled(shape, (edge, edge, shape[2]), 4)


@flow(name="denoise")
def denoise(params: DenoiseParams) -> RunSummary:
    """Denoise the (y, x, band) cube at ``params.source``; publish the clean cube, its noise and a report."""
    params = cast(DenoiseParams, with_product(params, "raw_cube"))
    with recorded("denoise", params) as run:
        if run.repeated:
            return run.summary
        from storage import denoise as layouts
        from tasks.denoise import figures, steps
        from tasks.denoise.again import steps as again
        from tasks.denoise.front import steps as front
        from tasks.denoise.learned import Learned
        from tasks.denoise.learned import steps as learned
        from tasks.denoise.report import page

        noisy = run.use("source")
        with cluster():
            if params.mask:
                given = run.inputs["mask"]
                mask = run.create("mask", layouts.mask(noisy))
                noisy = front.combine_masks(noisy, run.use("mask") if given.product_id else Path(given.uri), mask)
            bands = front.choose_bands(noisy, params.bands)
            fit, diagnosis = front.look(noisy, bands)
            options = params.options | ({"model": run.inputs["model"].uri} if params.model else {})
            method = steps.choose(params.method, params.rank, params.robust, options, diagnosis, params.seed)
            noise = None if method.stabilises else fit.sigma
            cube, rare, mending = noisy, steps.Rare(None, params.keep_rare, noise), {}
            if method.robust:
                cube = run.create("mended", layouts.mended(noisy))
                outliers = run.create("outliers", layouts.outliers(noisy))
                mended = front.mend_scene(noisy, cube, outliers, fit)
                rare = steps.Rare(cube, params.keep_rare, noise)
                mending = figures.tally(mended.records, noisy.shape)
            if isinstance(method, Learned):
                scene, expected = learned.solve(run.create, cube, bands, method, params.tile)
                sigma, mean = scene.sigma, scene.mean
                restore = partial(learned.restore, scene=scene, method=method, rare=rare)
            else:
                solved = steps.solve_scores(run.create, cube, bands, method, params.tile)
                solved = again.alternate(run.create, cube, method, solved)
                scores, scene, plan = again.look_again(run.create, noisy, bands, fit, method, params.tile, solved)
                expected = method.measured(scene, method.expected_error(scene, plan))
                sigma, mean = method.measured(scene, scene.sigma), method.decode(scene.mean)
                restore = partial(steps.restore, scores=scores, scene=scene, method=method, plan=plan, rare=rare)
            snr = figures.snr(mean, sigma)
            clean = run.create(
                "clean_cube", layouts.clean_cube(noisy, params.tile, sigma, expected, snr, method.linear)
            )
            removed = restore(noisy, clean=clean)
            steps.measure_columns(noisy, clean, sigma, expected)
        numbers = mending | figures.quality(replace(scene, sigma=sigma, mean=mean), expected, removed)
        run.record(**numbers)
        run.report(method=str(method), diagnosis=list(diagnosis.reasons))
        run.publish(clean)
        if method.robust:
            run.publish(outliers)
        picture = steps.quicklook(noisy, clean, mean)
        run.save("quicklook.png", picture, kind="picture")
        told = page(params.source, params.method, str(method), diagnosis.reasons, numbers, picture)
        run.save("report.html", told, kind="report")
    return run.summary
