"""The explorer: every page, as page, JSON and CSV, on a small real history; strangers, odd requests, many runs."""

import csv
import io
import os
import random
import shutil
import subprocess
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from deployments.explorer.app import create_app
from storage.database import engine, now, session
from storage.layout import Layout, variable
from storage.parameters import Parameters
from storage.runs import recorded
from storage.tables import Metric, Run

EVIL = "<script>alert(1)</script>"
PNG = bytes.fromhex("89504e470d0a1a0a")


class SceneParams(Parameters):
    """Parameters of a pretended flow."""

    title: str = "plain"
    tile: int = 8


def make_run(title: str = "plain", gain: float = 1.0, fail: bool = False) -> str:
    """A run with a metric, a series, an array and a picture."""
    layout = Layout("clean_cube", {"cube": variable(("y", "x", "band"), (8, 8, 4), "f4", (8, 8, 4), units="DN")})
    with recorded("denoise", SceneParams(title=title)) as run:
        cube = run.create("clean_cube", layout)
        cube.write((slice(0, 8), slice(0, 8), slice(0, 4)), np.arange(256, dtype="f4").reshape(8, 8, 4))
        if fail:
            raise ValueError(f"nothing but noise in {title}")
        run.record(gain_db=gain, sigma=np.array([1.0, np.nan, 3.0]))
        run.publish(cube)
        run.save("quicklook.png", PNG + title.encode(), kind="picture")
    return run.id


@pytest.fixture
def web(home):
    return TestClient(create_app(), follow_redirects=False)


@pytest.fixture
def history(home):
    """Two runs that ended well and one that did not."""
    good = [make_run("plain", 12.5), make_run(EVIL, 20.0)]
    with pytest.raises(ValueError, match="noise"):
        make_run("=cmd()", fail=True)
    return good


def test_an_empty_home_has_pages_too(web):
    for path in ("/", "/runs", "/products", "/api/runs", "/runs.csv"):
        assert web.get(path).status_code == 200, path


def test_runs_are_filtered_by_what_they_measured(web, history):
    found = web.get("/api/runs", params={"where": "metric.gain_db > 15"}).json()
    assert [r["run"] for r in found["rows"]] == [history[1]]
    assert web.get("/api/runs", params={"status": "failed", "flow": "denoise"}).json()["total"] == 1
    assert "gain_db" in web.get("/runs").text


def test_one_run_tells_everything(web, history):
    page = web.get(f"/runs/{history[0]}").text
    for word in ("tile", "gain_db", "12.5", "clean_cube", "<polyline", "quicklook.png"):
        assert word in page, word
    failed = web.get("/api/runs", params={"status": "failed"}).json()["rows"][0]["run"]
    assert "nothing but noise" in web.get(f"/runs/{failed}").text


def test_runs_stand_side_by_side(web, history):
    lines = {line["what"]: line for line in web.get("/api/compare", params={"run": history}).json()["lines"]}
    assert lines["metric.gain_db"]["values"] == [12.5, 20.0]
    assert lines["metric.gain_db"]["differs"]
    assert not lines["params.tile"]["differs"]
    assert web.get("/compare", params={"run": history}).status_code == 200


def test_a_cube_is_looked_at_plane_by_plane_and_line_by_line(web, history):
    product = web.get("/api/products", params={"kind": "clean_cube"}).json()["rows"][0]["id"]
    assert "band" in web.get(f"/products/{product}").text
    first, second = (web.get(f"/products/{product}/plane.png?variable=cube&band={b}") for b in (0, 3))
    assert first.content.startswith(PNG)
    assert first.headers["content-type"] == second.headers["content-type"] == "image/png"
    line = web.get(f"/api/products/{product}/profile?variable=cube&along=band&y=1&x=2").json()
    assert line["values"] == [40.0, 41.0, 42.0, 43.0]
    assert "there are 4" in web.get(f"/products/{product}/plane.png?variable=cube&band=99").json()["error"]


def test_an_array_that_somebody_removed_is_a_sentence(web, history):
    row = web.get("/api/products", params={"kind": "clean_cube"}).json()["rows"][0]
    shutil.rmtree(row["uri"])
    assert web.get(f"/products/{row['id']}").status_code == 200
    for path in (f"/products/{row['id']}/plane.png", f"/api/products/{row['id']}/profile?along=band"):
        assert web.get(path).status_code == 404, path


def test_pictures_come_from_the_store_and_from_nowhere_else(web, history, home):
    picture = web.get("/api/products", params={"kind": "picture"}).json()["rows"][0]
    assert web.get(f"/products/{picture['id']}/file").headers["content-type"] == "image/png"
    from storage.tables import ProductRow

    with session() as s:
        s.get_one(ProductRow, picture["id"]).uri = "/etc/passwd"
    assert web.get(f"/products/{picture['id']}/file").status_code == 404


def test_what_people_wrote_is_shown_and_never_run(web, history):
    for path in ("/runs", f"/runs/{history[1]}", f"/compare?run={history[0]}&run={history[1]}"):
        answer = web.get(path)
        assert EVIL not in answer.text
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert EVIL not in web.get("/runs", params={"where": f"flow = '{EVIL}'"}).text
    assert EVIL not in web.get(f"/runs/{EVIL}").text


def test_csv_has_a_line_per_run_and_no_formulas(web, history):
    rows = list(csv.DictReader(io.StringIO(web.get("/runs.csv").text)))
    assert len(rows) == 3
    assert {"run", "metrics.gain_db"} <= set(rows[0])
    lines = web.get("/compare.csv", params={"run": history}).text
    assert "metric.gain_db,12.5,20.0" in lines
    from deployments.explorer.app import _csv_lines

    assert "".join(_csv_lines([{"a": "=1+1", "b": -1.5, "c": {"d": "@x"}}])) == "a,b,c.d\r\n'=1+1,-1.5,'@x\r\n"


def test_who_does_not_know_the_token_stays_outside(history, monkeypatch):
    monkeypatch.setenv("NIGHTLOOM_EXPLORER_TOKEN", "moth")
    web = TestClient(create_app("0.0.0.0"), follow_redirects=False)
    for path in ("/", "/api/runs", "/openapi.json", "/runs.csv", "/runs?token=wrong", "/runs?token=%C3%A4"):
        assert web.get(path).status_code == 401, path
    assert web.get("/health").status_code == 200
    assert web.get("/api/runs", headers={"Authorization": "Bearer moth"}).status_code == 200
    entered = web.get("/runs?status=failed&token=moth")
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?status=failed")
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert web.get("/runs").status_code == 200


def test_a_foreign_name_for_this_machine_is_refused(web):
    assert web.get("/api/runs", headers={"Host": "evil.example"}).status_code == 400


def test_a_candidate_is_accepted_and_rejected_by_somebody(web, candidates):
    address = "/api/tables/candidates/{}/label"
    assert web.put(address.format(candidates[0]), json={"verdict": "reject", "who": "ada"}).status_code == 200
    web.put(address.format(candidates[0]), json={"verdict": "accept", "who": EVIL})
    web.put(address.format(candidates[1]), json={"verdict": "reject", "who": "ada"})
    web.put(address.format(candidates[2]), json={"verdict": "reject", "who": "ada"})
    web.put(address.format(candidates[2]), json={"verdict": "clear", "who": "ada"})
    found = {
        label: web.get("/api/tables/candidates", params={"label": label}).json()
        for label in ("accept", "reject", "none")
    }
    assert [r["id"] for r in found["accept"]["rows"]] == [candidates[0]]
    assert found["accept"]["rows"][0]["label"]["who"] == EVIL
    assert [r["id"] for r in found["reject"]["rows"]] == [candidates[1]]
    assert found["none"]["total"] == len(candidates) - 2
    assert EVIL not in web.get("/tables/candidates").text
    assert web.put(address.format("nobody"), json={"verdict": "accept", "who": "ada"}).status_code == 404
    assert web.put(address.format(candidates[0]), json={"verdict": "perhaps", "who": "ada"}).status_code == 422


def test_candidates_are_sorted_by_any_column_best_first(web, candidates):
    assert [r["id"] for r in web.get("/api/tables/candidates").json()["rows"]] == candidates[::-1]
    assert [r["id"] for r in web.get("/api/tables/candidates?sort=dm&where=snr < 9").json()["rows"]] == candidates[:2]
    assert web.get("/tables/candidates?sort=-dm").status_code == 200
    assert "has no column 'colour'" in web.get("/api/tables/candidates?sort=colour").json()["error"]


def test_a_candidate_stands_beside_its_picture(web, candidates):
    with recorded("search", SceneParams()) as run:
        run.save("candidate_002.png", PNG, kind="picture")
        run.save("other.png", PNG, kind="picture")
    from storage.search import Candidate

    with session() as s:
        s.get_one(Candidate, candidates[2]).run_id = run.id
    rows = {r["id"]: r for r in web.get("/api/tables/candidates").json()["rows"]}
    assert web.get(f"/products/{rows[candidates[2]]['picture']}/file").content == PNG
    assert rows[candidates[1]]["picture"] is None
    assert rows[candidates[2]]["picture"] in web.get("/tables/candidates").text


@pytest.fixture
def candidates(home):
    from storage.search import Candidate

    given = {
        "run_id": "0" * 16,
        "product_id": "1" * 16,
        "trial_snr": 7.0,
        "false_alarm_probability": 1e-9,
        "time_s": 1.0,
        "ref_freq_mhz": 1500.0,
    }
    rows = [
        Candidate(
            id=f"{i:016x}",
            number=i,
            snr=7.0 + i,
            dm=100.0 * i,
            width_s=0.01,
            y=1.0,
            x=2.0,
            members=3,
            simulated=False,
            **given,
        )
        for i in range(4)
    ]
    with session() as s:
        s.add_all(rows)
    return [f"{i:016x}" for i in range(4)]


def test_only_labels_can_be_written_and_everything_is_described(web):
    described = web.get("/openapi.json").json()["paths"]
    written = {path for path, methods in described.items() if set(methods) != {"get"}}
    assert written == {"/api/tables/{name}/{row_id}/label"}
    assert {"/api/runs", "/api/runs/{run_id}", "/api/compare", "/api/products", "/runs.csv"} <= set(described)
    assert web.post("/runs").status_code == 405


def test_odd_requests_get_a_sentence_and_never_a_5xx(web, history):
    product = web.get("/api/products").json()["rows"][0]["id"]
    texts = [
        "",
        "'",
        "%",
        "\x00",
        "a" * 3000,
        "1e999",
        "-1",
        EVIL,
        "metric.",
        "metric.x >",
        "((((",
        "id = '",
        "é☃",
        "../../etc",
        "null",
        "99999999999999999999",
    ]
    paths = [
        "/runs",
        "/products",
        "/compare",
        "/tables/{}",
        "/runs/{}",
        "/products/{}",
        f"/products/{product}",
        f"/products/{product}/plane.png",
        f"/api/products/{product}/profile",
        "/products/{}/file",
    ]
    names = ["where", "flow", "status", "kind", "page", "size", "sort", "run", "variable", "along", "y", "band"]
    rng = random.Random(8)
    for _ in range(150):
        path = rng.choice(paths).format(rng.choice(texts).replace("/", "%2F").replace("\x00", "%00"))
        asked = {rng.choice(names): rng.choice(texts) for _ in range(rng.randrange(4))}
        answer = web.get(rng.choice(["", "/api"]) + path, params=asked)
        assert answer.status_code < 500, (path, asked, answer.text)


@contextmanager
def database_work():
    """A list that gains SQLite's instructions, in thousands: what a page costs, whatever else the machine does."""
    work: list[int] = []

    def count(connection, *_):
        connection.set_progress_handler(lambda: work.append(1), 1000)

    event.listen(engine(), "checkout", count)
    try:
        yield work
    finally:
        event.remove(engine(), "checkout", count)


def test_a_hundred_thousand_runs_are_paged_without_reading_them_all(web):
    with session() as s:
        start = now() - timedelta(days=400)
        rows = [
            {
                "id": f"{i:016x}",
                "flow": "denoise",
                "key": f"{i:032x}",
                "generation": 0,
                "status": "completed",
                "params": {"tile": i % 512},
                "dirty": False,
                "code_version": "x",
                "host": "h",
                "devices": [],
                "trigger": "command",
                "started": start + timedelta(seconds=i),
                "summary": {"metrics": {"gain_db": float(i % 40)}},
            }
            for i in range(100_000)
        ]
        s.execute(Run.__table__.insert(), rows)
        s.execute(
            Metric.__table__.insert(),
            [{"run_id": r["id"], "key": "gain_db", "position": -1, "value": float(i % 40)} for i, r in enumerate(rows)],
        )
    web.get("/runs")
    with database_work() as work:
        for path in (
            "/",
            "/runs",
            "/runs?page=150",
            "/runs?where=metric.gain_db > 38.5",
            "/runs?where=params.tile = 17",
            "/runs?status=completed",
        ):
            work.clear()
            assert web.get(path).status_code == 200
            assert sum(work) < 2500, path  # reading every run takes more than 3000


@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no chromium: apt-get install chromium, to see the pages in a real browser"
)
def test_a_real_browser_shows_the_pages_and_draws_the_spectrum(history, home):
    from deployments.services import explorer
    from deployments.supervisor import free_port, supervisor

    service = explorer("127.0.0.1", free_port(), "http://127.0.0.1:4200")
    with supervisor() as watched:
        watched.start(service)
        watched.wait_until_ready(service, 60)
        product = TestClient(create_app()).get("/api/products", params={"kind": "clean_cube"}).json()["rows"][0]["id"]
        seen = _dom(f"{service.page}/products/{product}", home)
    assert "<polyline points=" in seen  # drawn by the script, from the JSON API, under the content security policy
    assert "over band 0 to 3" in seen


def _dom(address: str, folder) -> str:
    """The page as the browser has it after its scripts ran."""
    browser = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder}/chromium",
        "--virtual-time-budget=5000",
    ]
    done = subprocess.run(
        [*browser, "--dump-dom", address], capture_output=True, text=True, timeout=90, check=False, env=dict(os.environ)
    )
    return done.stdout
