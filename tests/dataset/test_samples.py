"""What the database knows of single samples: taken, removed, left out for one that they are like."""

import numpy as np

from storage import query
from storage.dataset import version
from storage.dataset_files import read_index
from storage.dataset_samples import Duplicate, Sample
from tasks.dataset import steps


def rows(table):
    return query.table(table, None, order=table.version, limit=10_000)


def test_the_table_holds_what_every_version_holds(database_url, scene, build, monkeypatch):
    for i in range(3):
        scene(i)
    build()
    first = read_index(version("denoise").folder)
    assert {r["id"] for r in rows(Sample)} == set(first["id"])
    gone, choose = first["id"].tolist()[:2], steps.choose

    def removing(*args):
        chosen = choose(*args)
        chosen.removed |= set(gone)
        return chosen

    scene(3)
    monkeypatch.setattr(steps, "choose", removing)
    build()
    second = read_index(version("denoise").folder).set_index("id")
    living = {r["id"]: r for r in rows(Sample) if r["removed"] is None}
    assert living.keys() == set(second.index)
    assert {r["id"]: (r["version"], r["removed"]) for r in rows(Sample) if r["removed"]} == dict.fromkeys(gone, (1, 2))
    for name, row in second.iterrows():
        kept = living[name]
        told = kept["version"], kept["split"], kept["group_key"], kept["product_id"], kept["content"]
        assert told == tuple(row[["version", "split", "group", "source", "content"]])


def test_a_sample_that_was_left_out_names_the_one_it_is_like(database_url, scene, build):
    for i in range(7):
        scene(i)
    scene(50, copy_of=3)
    build(radius=0.1)
    index, left = read_index(version("denoise").folder), rows(Duplicate)
    taken = set(index["id"])
    assert len(left) == 8
    assert {r["kept"] for r in left} <= taken
    assert not {r["sample"] for r in left} & taken
    assert all(0 <= r["distance"] <= 0.1 for r in left)
    place = index.set_index("id")
    assert len(place.loc[[r["kept"] for r in left], "source"].unique()) == 1
    one = left[0]
    assert [r["sample"] for r in query.table(Duplicate, f"kept = '{one['kept']}'", order=Duplicate.version)] == [
        one["sample"]
    ]
    scene(51, copy_of=3)  # and across versions
    scene(60)
    build(radius=0.1)
    later = [r for r in rows(Duplicate) if r["version"] == 2]
    assert len(later) == 8
    assert np.isin([r["kept"] for r in later], list(taken)).all()
