"""The dataset flow, from cubes to a version, as Prefect runs it."""

from flows.dataset import DatasetParams, dataset
from storage.reader import ShardReader
from tests.dataset.conftest import scene  # noqa: F401 - a fixture


def test_a_night_of_cubes_becomes_a_version(home, prefect_server, scene):  # noqa: F811
    for i in range(3):
        scene(i)
    params = DatasetParams(kind="denoise", patch=8)
    summary = dataset(params)
    assert summary.status == "completed"
    assert summary.products[0].kind == "dataset"
    batch = ShardReader(summary.products[0].uri)[[5, 0]]
    assert batch["noisy"].shape == (2, 8, 8, 6)
    assert dataset(params).run == summary.run
