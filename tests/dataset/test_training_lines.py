"""The lines of the documentation that train on a version do so, as they are written."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from storage.batches import Schedule
from storage.dataset import version
from storage.reader import ShardReader

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "docs/dataset.md"])
def test_the_lines_as_written_run_with_pytorch(scene, build, page):
    pytest.importorskip("torch", reason="PyTorch, an optional dependency, is not installed")
    for seed in range(10):
        scene(seed)
    build()
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (lines,) = [block for block in blocks if "TorchBatches(" in block]
    known = {"net": lambda noisy: noisy}
    exec(re.sub(r"\.\.\./v00\d", version("denoise").folder, lines), known)
    assert float(known["loss"]) > 0


def test_training_without_pytorch_sees_every_training_record_once(scene, build):
    for seed in range(4):
        scene(seed)
    build()
    folder = version("denoise").folder
    index = pd.read_parquet(f"{folder}/index.parquet")
    train = index.loc[index.split == "train", "record"].to_numpy()
    reader = ShardReader(f"{folder}/data.zarr")
    seen = [batch["noisy"] for batch in reader.batches(Schedule(train, batch=1, seed=1), 0)]
    expected = reader[train]["noisy"]
    assert sorted(map(np.ndarray.tobytes, seen)) == sorted(x[None].tobytes() for x in expected)
