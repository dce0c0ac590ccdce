"""The command line's contract: exit codes, one sentence on errors, JSON, answers without Prefect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NIGHTLOOM = Path(sys.executable).parent / "nightloom"


@pytest.fixture
def nightloom(tmp_path):
    """Run the command in a home of its own; returns the finished process."""

    def call(*arguments, **extra):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTLOOM_", "PREFECT_"))}
        environment |= {"NIGHTLOOM_HOME": str(tmp_path / "home"), "COLUMNS": "200"} | extra
        return subprocess.run(
            [NIGHTLOOM, *arguments], capture_output=True, text=True, env=environment, timeout=120, check=False
        )

    return call


def test_help_names_every_command(nightloom):
    done = nightloom("--help")

    assert done.returncode == 0
    for command in ("run", "plan", "up", "deploy", "runs", "products", "migrate", "doctor", "maintenance"):
        assert command in done.stdout


def test_help_and_listings_do_not_wait_for_the_heavy_libraries():
    program = "import sys; import deployments.cli; print([m for m in ('prefect','dask','zarr','sqlalchemy','numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_no_arguments_shows_help(nightloom):
    assert "Usage" in nightloom().stdout + nightloom().stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "maintenence"], 2, "did you mean 'maintenance'"),
        (["run", "maintenance", "-p", "dry_rum=true"], 2, "did you mean 'dry_run'"),
        (
            ["run", "maintenance", "-p", "keep_staging_days=-1"],
            2,
            "keep_staging_days: input should be greater than or equal to 0, got '-1'",
        ),
        (["run", "denoise", "-p", "source=x.npy", "-p", "method=hyre"], 2, "did you mean 'hyres'?"),
        (["run", "denoise", "-p", "method=hyres"], 2, "source: field required"),
        (["run", "nightly", "-p", "only=[denoisee]"], 2, "did you mean 'denoise'"),
        (["run", "maintenance", "-p", "dry_run"], 1, "write key=value"),
        (["run", "maintenance", "--params", "none.yaml"], 1, "none.yaml cannot be read"),
        (["runs", "ls", "--where", "metric.psnr_db >"], 1, "a value was expected"),
        (["runs", "ls", "--where", "flw = 'denoise'"], 2, "did you mean 'flow'"),
        (["runs", "show", "0123"], 1, "none begins with '0123'"),
        (["products", "show", "nothing"], 1, "there is no product 'nothing'"),
        (["doctor", "no-such-file"], 1, "there is no file"),
        (["nosuchcommand"], 2, "No such command"),
    ],
)
def test_wrong_arguments_get_one_sentence(nightloom, arguments, code, sentence):
    done = nightloom(*arguments)

    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_json_is_the_last_line_also_of_a_failure(nightloom):
    done = nightloom("run", "nosuchflow", "--json")

    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "failed"


def test_run_without_a_server_records_and_answers(nightloom):
    done = nightloom("run", "maintenance", "--json")

    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert {"run", "flow", "status", "products", "metrics", "seconds"} <= set(line)
    assert (line["flow"], line["status"]) == ("maintenance", "completed")
    rows = json.loads(
        nightloom("runs", "ls", "--where", "flow = 'maintenance' and metric.n_swept = 0", "--json").stdout
    )
    assert [row["run"] for row in rows] == [line["run"]]
    assert json.loads(nightloom("runs", "show", line["run"][:8], "--json").stdout)["params"]["dry_run"] is False


def test_unwritable_home_is_one_sentence(nightloom):
    done = nightloom("runs", "ls", NIGHTLOOM_HOME="/proc/nightloom")

    assert done.returncode == 1
    assert "set NIGHTLOOM_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_csv_has_a_header(nightloom):
    assert nightloom("products", "ls", "--csv").stdout.startswith("id,kind,name,")
