"""Denoise a spectral cube: survey the scene, project it on its components, denoise those, go back."""

from typing import Literal

from prefect import flow
from pydantic import Field

from flows._cluster import cluster
from flows._sources import with_product
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary

Method = Literal["hyres"]

FOLLOWS = ("raw_cube",)


class DenoiseParams(Parameters):
    """Which cube, which method, how."""

    source: str = Field(description="file, product URI or product id of a (y, x, band) cube")
    method: Method = Field("hyres", description="denoising method; see docs/denoise.md")
    rank: int | None = Field(
        None, ge=1, le=4096, description="number of spectral components to keep; empty: the number of least risk"
    )
    tile: int = Field(
        512, ge=1, le=8192, description="edge of a tile's core [px]; small tiles are slower, not different"
    )
    seed: int = Field(0, ge=0, description="seed of methods that draw random numbers")


@flow(name="denoise")
def denoise(params: DenoiseParams) -> RunSummary:
    """Denoise the (y, x, band) cube at ``params.source``; publish the clean cube, its noise and a quick look."""
    params = with_product(params, "raw_cube")
    with recorded("denoise", params) as run:
        if run.repeated:
            return run.summary
        from storage import denoise as layouts
        from tasks.denoise import steps
        from tasks.denoise.methods import method as find_method
        from tasks.denoise.moments import packed_size
        from tasks.denoise.scene import solve_scene

        noisy = run.use("source")
        method = find_method(params.method, rank=params.rank)
        with cluster():
            bands = steps.choose_bands(noisy)
            parts = run.create("moments", layouts.moments(noisy, params.tile, packed_size(len(bands))))
            moments = steps.survey(noisy, parts, bands, params.tile)
            scene = solve_scene(moments, bands, noisy.shape[:2], method.rank)
            scores = run.create("scores", layouts.scores(scene.shape, scene.n_component, params.tile))
            steps.project_scene(noisy, scores, scene)
            plan = steps.survey_scores(run.create, scores, scene, method)
            expected = method.expected_error(scene, plan)
            clean = run.create("clean_cube", layouts.clean_cube(noisy, params.tile, scene.sigma, expected))
            removed = steps.restore(noisy, scores, clean, scene, method, plan)
        run.record(**steps.quality(scene, expected, removed))
        run.publish(clean)
        run.save("quicklook.png", steps.quicklook(noisy, clean, scene.sigma, expected), kind="picture")
    return run.summary
