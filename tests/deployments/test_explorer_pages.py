"""The explorer's pages beyond runs and products: datasets and their samples, the sky that was watched, lineage."""

import csv
import io

import pytest
from fastapi.testclient import TestClient

from deployments.explorer.app import create_app
from deployments.explorer.graph import MOST, lineage_graph
from storage.database import session
from storage.search import Exposure
from tests.dataset.conftest import build, scene  # noqa: F401

PNG = bytes.fromhex("89504e470d0a1a0a")


@pytest.fixture
def web(home):
    return TestClient(create_app(), follow_redirects=False)


def lines(answer):
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_dataset_is_looked_at_version_by_version_and_sample_by_sample(web, scene, build):  # noqa: F811
    assert "No dataset was built yet" in web.get("/datasets").text
    scene(1)
    build()
    scene(2)
    build()
    (row,) = web.get("/api/datasets").json()["rows"]
    assert (row["dataset"], row["versions"]) == ("denoise", 2)
    versions = web.get("/api/datasets/denoise").json()["rows"]
    assert [v["number"] for v in versions] == [2, 1]
    assert "/datasets/denoise/diff?old=1" in web.get("/datasets/denoise").text

    found = web.get("/api/datasets/denoise/diff?old=1&new=2").json()["found"]
    assert found["added"] == versions[0]["live"] - versions[1]["live"] and found["removed"] == 0
    assert web.get("/datasets/denoise/diff?old=1&new=2").status_code == 200

    page = web.get("/api/datasets/denoise/2?size=3").json()
    assert page["total"] == versions[0]["live"] and [r["record"] for r in page["rows"]] == [0, 1, 2]
    split = page["rows"][0]["split"]
    kept = web.get(f"/api/datasets/denoise/2?split={split}").json()
    assert {r["split"] for r in kept["rows"]} == {split}
    assert len(lines(web.get("/datasets/denoise/2.csv?size=1000"))) == page["total"]
    shown = web.get("/datasets/denoise/2").text
    assert "Datasheet" in shown and '/datasets/denoise/2/0.png"' in shown
    for picture in ("0.png", "contact.png"):
        assert web.get(f"/datasets/denoise/2/{picture}").content.startswith(PNG)


def test_what_a_dataset_does_not_have_is_a_sentence(web, scene, build):  # noqa: F811
    scene(1)
    build()
    assert "no dataset 'other'" in web.get("/api/datasets/other").json()["error"]
    assert "has no version 7; there is 1" in web.get("/api/datasets/denoise/7").json()["error"]
    assert web.get("/datasets/denoise/1/100000.png").status_code == 404
    assert web.get("/datasets/denoise/diff?old=1").status_code == 422


def exposure(number, **given):
    row = {
        "id": f"{number:016x}", "run_id": "0" * 16, "product_id": "1" * 16, "seconds": 3600.0, "n_pixel": 100,
        "area_deg2": 2.0, "ra_deg": 266.405, "dec_deg": -28.936, "mjd": 60000.0 + number, "threshold": 7.0,
        "dm_max": 1000.0, "width_max_s": 1.0, "dt_s": 0.1, "noise": 1.0, "units": "Jy", "n_channel": 16,
        "flagged_fraction": 0.0, "n_candidate": 0, "simulated": False,
    }  # fmt: skip
    return Exposure(**(row | given))


def test_the_centre_of_the_galaxy_is_the_centre_of_the_map(web):
    assert "No exposure matches" in web.get("/coverage").text
    with session() as s:
        s.add_all([exposure(1), exposure(2, ra_deg=None, dec_deg=None), exposure(3, simulated=True, ra_deg=10.0)])
    found = web.get("/api/coverage?where=simulated = false").json()
    (mark,) = found["marks"]
    assert abs(mark["x"] - 360) < 1 and abs(mark["y"] - 180) < 1  # Sagittarius A*
    assert (found["unplaced"], found["hours"], found["deg2_hours"]) == (1, 2.0, 4.0)
    page = web.get("/coverage").text
    assert page.count("<circle") == 2 and 'class="simulated"' in page
    assert len(lines(web.get("/coverage.csv"))) == 3


def test_every_listing_is_a_csv_file(web):
    for name in ("candidates", "grasps", "exposures", "injections", "datasets"):
        assert web.get(f"/tables/{name}.csv").status_code == 200, name


def test_parents_stand_left_of_their_children():
    rows = {i: {"name": i, "kind": "k", "run_id": "r" if i == "c" else "other"} for i in "abcde"}
    graph = lineage_graph({("a", "c"), ("b", "c"), ("a", "b"), ("c", "d"), ("x", "d")}, rows, "r")
    x = {box["id"]: box["x"] for box in graph["boxes"]}
    assert x["a"] < x["b"] < x["c"] < x["d"] and x["e"] == x["a"]
    assert [box["id"] for box in graph["boxes"] if box["here"]] == ["c"]
    assert len(graph["lines"]) == 4
    assert all(line["x1"] < line["x2"] for line in graph["lines"])


def test_a_product_with_many_children_counts_those_it_does_not_draw():
    rows = {f"{i:03d}": {"name": str(i), "kind": "k", "run_id": "r"} for i in range(40)}
    graph = lineage_graph({("000", id_) for id_ in rows if id_ != "000"}, rows, "r")
    assert [box["name"] for box in graph["boxes"] if box["id"] is None] == [f"and {39 - MOST} more"]
