"""A denoising run on LocalCUDACluster: RMM's pool under CuPy, Zarr in and out, the CPU's answer. `make wheels` prepares a bare machine."""

import numpy as np
import pytest

from flows._cluster import cluster, gpu_count

pytestmark = pytest.mark.gpu_cluster


@pytest.fixture
def gpus():
    pytest.importorskip("dask_cuda", reason="dask-cuda is not installed: make wheels, or the extra gpu")
    if not gpu_count():
        pytest.skip("no GPU answers here: the factory's arguments are tested without one")


def allocations():
    """What gives CuPy its memory on a worker, and whether that is a pool."""
    import cupy
    import rmm

    before = rmm.mr.get_current_device_resource()
    block = cupy.ones(1 << 20)
    return cupy.cuda.get_allocator().__module__, type(before).__name__, float(block.sum())


def test_cupy_takes_its_memory_from_the_pool(home, gpus):
    with cluster("cuda") as client:
        assert len(client.nthreads()) == gpu_count()
        for module, resource, total in client.run(allocations).values():
            assert module.startswith("rmm")
            assert "Pool" in resource
            assert total == 1 << 20


def test_a_scene_is_denoised_as_on_the_cpu(home, gpus, tmp_path, prefect_server):
    from flows.denoise import DenoiseParams, denoise
    from flows.ingest import IngestParams, ingest
    from storage.product import Product
    from tests.denoise.scenes import scene

    clean = scene(96, 80, 40, n_end=4, seed=1)
    np.save(tmp_path / "scene.npy", clean + 0.02 * np.random.default_rng(0).standard_normal(clean.shape).astype("f4"))
    raw = ingest(IngestParams(source=str(tmp_path / "scene.npy"))).products[0].uri
    answers = []
    for kind in ("cpu", "cuda"):
        with cluster(kind):
            made = denoise(DenoiseParams(source=raw, method="hyres", tile=48, force=True))
        (uri,) = [p.uri for p in made.products if p.kind == "clean_cube"]
        answers.append(Product(uri).read())
    assert np.abs(answers[1] - answers[0]).max() < 1e-4 * np.abs(answers[0]).max()
