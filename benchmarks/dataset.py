"""Dataset construction against its yardsticks: readers interleaved with a memory map, selections in CPU seconds.

    python benchmarks/dataset.py [--quick] [--folder DIR]

Ratios are of CPU time, measured in turns in one process; other readers are measured where they are installed.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from threadpoolctl import threadpool_limits

from benchmarks._figures import figure
from storage.reader import ShardReader
from tasks.dataset.kcenter import k_center
from tasks.dataset.neighbours import near_duplicates

BATCH = 64
Reader = Callable[[np.ndarray], Any]


def main() -> None:
    """Measure everything; print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the size")
    parser.add_argument("--folder", default=None, help="where to put some gigabytes for a while")
    parser.add_argument(
        "--rebuild",
        type=int,
        default=100,
        metavar="N",
        help="build from N scenes, then from 1 %% more; 0 leaves it out",
    )
    given = parser.parse_args()
    size = 5 if given.quick else 1
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        print("random batches of 64; samples per CPU second, and their ratio to a memory map's fancy-index copy")
        readers("patches 32x32x31", folder, (4000 // size, 32, 32, 31), shard=512)
        readers("cutouts 64x64", folder, (20000 // size, 64, 64), shard=2048)
    finally:
        shutil.rmtree(folder)
    with threadpool_limits(1):  # idle threads of BLAS wait by turning round, which is no work
        selections(100_000 // size)
    if given.rebuild:
        rebuild(given.rebuild)


def readers(title: str, folder: Path, shape: tuple[int, ...], shard: int) -> None:
    """Read the same random batches through every reader, in turns."""
    values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    order = np.random.default_rng(1).permutation(len(values))
    batches = [order[i : i + BATCH] for i in range(0, len(order) - BATCH, BATCH)]
    made = {
        name: make(folder / f"{name.split()[0]}-{title.split()[0]}", values, shard) for name, make in MAKERS.items()
    }
    made = {name: reader for name, reader in made.items() if reader is not None}
    for reader in made.values():
        np.testing.assert_array_equal(reader(batches[0]), values[batches[0]])
    rates: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(7):
        for name, reader in made.items():
            few = batches if name in FAST else batches[:3]
            start = time.process_time()
            for batch in few:
                reader(batch)
            rates[name].append(BATCH * len(few) / (time.process_time() - start))
    limit = np.array(rates["memory map"])
    print(f"\n{title}")
    for name, measured in rates.items():
        print(f"  {name:28s}{np.median(measured):12.0f}{np.median(np.array(measured) / limit):8.3f}")
        if name != "shard reader":
            ratio = float(np.median(np.array(rates["shard reader"]) / measured))
            bar, rate = 0.9 if name == "memory map" else 1.0, float(np.median(rates["shard reader"]))
            figure(f"random batches of {title}, against {name}", rate, "samples/CPU-s", ratio=ratio, peer=name, bar=bar)


def _memory_map(path: Path, values: np.ndarray, shard: int) -> Reader:
    np.save(path.with_suffix(".npy"), values)
    mapped = np.load(path.with_suffix(".npy"), mmap_mode="r")
    return lambda rows: mapped[rows]


def _shards(path: Path, values: np.ndarray, shard: int, **options: Any) -> ShardReader:
    group = zarr.create_group(str(path))
    sample = values.shape[1:]
    dims = ("record", *"yxb"[: len(sample)])
    array = group.create_array(
        "image",
        shape=values.shape,
        dtype="f4",
        chunks=(1, *sample),
        shards=(shard, *sample),
        dimension_names=dims,
        **options,
    )
    array[...] = values
    return ShardReader(path)


def _own(path: Path, values: np.ndarray, shard: int) -> Reader:
    reader = _shards(path, values, shard, compressors=None)
    assert reader.mapped
    return lambda rows: reader[rows]["image"]


def _zarr_python(path: Path, values: np.ndarray, shard: int) -> Reader:
    _shards(path, values, shard, compressors=None)
    array = zarr.open_group(str(path), mode="r")["image"]
    return lambda rows: array.oindex[rows]


def _hdf5(path: Path, values: np.ndarray, shard: int) -> Reader | None:
    try:
        import h5py
    except ImportError:
        return None
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["image"] = values
    array = h5py.File(path.with_suffix(".h5"), "r")["image"]

    def read(rows: np.ndarray) -> np.ndarray:
        order = np.argsort(rows)
        return array[rows[order]][np.argsort(order)]

    return read


def _mds(path: Path, values: np.ndarray, shard: int) -> Reader | None:
    try:
        from streaming import MDSWriter, StreamingDataset
    except ImportError:
        return None
    with MDSWriter(out=str(path), columns={"image": "ndarray"}) as out:
        for value in values:
            out.write({"image": value})
    data = StreamingDataset(local=str(path), batch_size=BATCH)
    return lambda rows: np.stack([data[int(i)]["image"] for i in rows])


def _hugging_face(path: Path, values: np.ndarray, shard: int) -> Reader | None:
    try:
        import datasets
    except ImportError:
        return None
    flat = datasets.Dataset.from_dict({"image": values.reshape(len(values), -1)}).with_format("numpy")
    return lambda rows: flat[rows]["image"].reshape(-1, *values.shape[1:])


MAKERS: dict[str, Callable[[Path, np.ndarray, int], Reader | None]] = {
    "memory map": _memory_map,
    "shard reader": _own,
    "hdf5, sorted fancy": _hdf5,
    "zarr-python oindex": _zarr_python,
    "mds": _mds,
    "datasets (hugging face)": _hugging_face,
}
FAST = ("memory map", "shard reader")


def selections(n: int) -> None:
    """k-center and near-duplicates of ``n`` embeddings, clustered and even."""
    rng = np.random.default_rng(0)
    k_center(_cloud(rng, 500, clustered=True), 10)
    print(f"\n{n} x 64 embeddings; CPU seconds")
    for name, clustered in (("clustered", True), ("evenly spread", False)):
        x = _planted(rng, _cloud(rng, n, clustered=clustered))
        seconds, pairs = _timed(lambda x=x: near_duplicates(x, 0.15)[0])
        rest = f"{len(pairs)} pairs"
        if name == "clustered":
            exact = _exact_pairs(x, 0.15)
            share = len(exact & set(map(tuple, pairs.tolist()))) / len(exact)
            rest += f", {share:.4%} of those of exact search"
            figure(f"near-duplicates of {n} embeddings, found", 100 * share, "% of exact search", bar=99.9)
        print(f"  near-duplicates, {name:16s}{seconds:8.2f}   {rest}")
        figure(f"near-duplicates of {n} embeddings, {name}", seconds, "CPU s", bar=1, better="less")
        seconds, _ = _timed(lambda x=x: k_center(x, 1000))
        print(f"  k-center 1000,   {name:16s}{seconds:8.2f}")
        figure(f"k-center, 1000 of {n} embeddings, {name}", seconds, "CPU s", bar=1, better="less")


def _cloud(rng: np.random.Generator, n: int, *, clustered: bool) -> np.ndarray:
    x = rng.standard_normal((n, 64))
    if clustered:
        x = rng.standard_normal((200, 64))[rng.integers(200, size=n)] + 0.3 * x
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def _planted(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    half, n = len(x) // 2, len(x) // 20
    x[half : half + n] = x[:n] + (0.1 / 8 * rng.standard_normal((n, 64))).astype(np.float32)
    return x


def _exact_pairs(x: np.ndarray, radius: float) -> set[tuple[int, int]]:
    found, squares = set(), (x * x).sum(axis=1)
    for start in range(0, len(x), 2000):
        block = x[start : start + 2000]
        near = squares[start : start + 2000, None] + squares - 2 * block @ x.T <= radius**2 + 1e-5
        for i, j in zip(*near.nonzero(), strict=True):
            if start + i < j and np.linalg.norm(block[i].astype(float) - x[j]) <= radius:
                found.add((int(start + i), int(j)))
    return found


def rebuild(n: int) -> None:
    """Build a dataset from ``n`` scenes of 256 x 256 x 31, then the next version from one per cent more, in a home of its own."""
    import os
    from contextlib import nullcontext

    import flows.dataset
    from storage.dataset import versions
    from tasks.dataset import steps

    home = tempfile.mkdtemp()
    os.environ["NIGHTLOOM_HOME"] = home
    flows.dataset.cluster = nullcontext  # in this process, so that its CPU seconds are all there are
    for name in ("survey", "choose", "link_shards", "write_shards", "read_back"):
        setattr(steps, name, getattr(steps, name).fn)
    build = flows.dataset.dataset.fn
    params = flows.dataset.DatasetParams(kind="denoise")
    try:
        for seed in range(n):
            _publish_scene(seed)
        first, _ = _timed(lambda: build(params))
        for seed in range(n, n + max(1, n // 100)):
            _publish_scene(seed)
        second, _ = _timed(lambda: build(flows.dataset.DatasetParams(kind="denoise")))
        old, new = (_own_bytes(v.folder) for v in versions("denoise"))
        print(f"\n{n} scenes, then {max(1, n // 100)} more")
        print(f"  CPU seconds  {first:10.1f}{second:10.2f}   {second / first:.1%}")
        print(f"  MB           {old / 1e6:10.1f}{new / 1e6:10.2f}   {new / old:.1%}")
        figure(
            f"{n} scenes and 1 % more, time of the rebuild",
            100 * second / first,
            "% of the first",
            bar=5,
            better="less",
        )
        figure(f"{n} scenes and 1 % more, new bytes", 100 * new / old, "% of the first", bar=2, better="less")
        grow([v.folder for v in versions("denoise")], Path(home) / "grown")
    finally:
        shutil.rmtree(home)


def grow(folders: list[str], place: Path) -> None:
    """Commit the versions one after another to an Icechunk repository; read random batches back."""
    from storage.dataset_icechunk import commit, opened

    seconds, sizes, tag = [], [0], ""
    for folder in folders:
        start = time.perf_counter()
        tag = commit(folder, str(place))
        seconds.append(time.perf_counter() - start)
        sizes.append(sum(p.stat().st_size for p in place.rglob("*") if p.is_file()))
    first, second = seconds
    print(f"  the same in Icechunk: s {first:.1f}, {second:.2f} ({second / first:.1%}); MB", end=" ")
    print(f"{sizes[1] / 1e6:.1f}, {(sizes[2] - sizes[1]) / 1e6:.2f} ({(sizes[2] - sizes[1]) / sizes[1]:.1%}); ", end="")
    noisy, rng = opened(str(place), tag)["noisy"], np.random.default_rng(0)
    rows = [np.sort(rng.choice(noisy.shape[0], BATCH, replace=False)) for _ in range(10)]
    spent, _ = _timed(lambda: [noisy.oindex[r] for r in rows])
    print(f"random batches {len(rows) * BATCH / spent:.0f} samples per CPU s")


def _own_bytes(folder: str) -> int:
    """Bytes of the files that no later version shares, or that this one does not share with an earlier."""
    whole = folder.endswith("v001")
    return sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file() and (whole or p.stat().st_nlink == 1))


def _publish_scene(seed: int) -> None:
    from storage.layout import Layout, variable
    from storage.parameters import Parameters
    from storage.runs import recorded

    class Given(Parameters):
        source: str = ""
        seed: int = 0

    shape, dims = (256, 256, 31), ("y", "x", "band")
    rng = np.random.default_rng(seed)
    clean = 3 + rng.random((32, 32, 31), dtype=np.float32).repeat(8, 0).repeat(8, 1)
    cubes = {"raw_cube": clean + 0.1 * rng.standard_normal(shape, dtype=np.float32), "clean_cube": clean}
    source = ""
    for kind, cube in cubes.items():
        with recorded(kind, Given(source=source, seed=seed)) as run:
            product = run.create(kind, Layout(kind, {"cube": variable(dims, shape, "float32", units="1")}))
            product.write(tuple(slice(0, k) for k in shape), cube)
            run.publish(product)
        source = run.summary.products[0].uri


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
