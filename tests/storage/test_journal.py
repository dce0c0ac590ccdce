"""The journal: a line of JSON for whatever is logged during a run, with the run it belongs to."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from storage import journal
from storage.parameters import Parameters
from storage.runs import recorded

log = logging.getLogger("nightloom")


def lines():
    return [json.loads(line) for path in journal.folder().glob("*.jsonl") for line in path.read_text().splitlines()]


def test_every_line_knows_its_run(home):
    with recorded("ingest", Parameters(), deduplicate=False) as outer:
        log.warning("a tile\nis tried again")
        with recorded("denoise", Parameters(), deduplicate=False) as inner:
            log.info("inside")
    found = lines()
    said = {line["message"]: line["run"] for line in found}
    assert said["a tile\nis tried again"] == outer.id and said["inside"] == inner.id
    assert {"time", "level", "message", "host", "pid", "flow", "run"} <= set(found[0])
    assert [line["flow"] for line in found if line["message"].endswith("began")] == ["ingest", "denoise"]


def test_a_run_that_fails_says_so(home):
    with pytest.raises(ValueError, match="broken"), recorded("ingest", Parameters(), deduplicate=False):
        raise ValueError("broken")
    assert "ValueError" in lines()[-1]["message"]


def test_a_journal_that_cannot_be_written_ends_no_run(home):
    journal.folder().parent.mkdir(exist_ok=True)
    journal.folder().write_text("a file where the folder should be")
    with recorded("ingest", Parameters(), deduplicate=False) as run:
        log.warning("nowhere to write")
    assert run.summary.status == "completed"


def test_old_days_are_found_by_their_name(home):
    journal.folder().mkdir(parents=True)
    today = datetime.now(UTC).date()
    for age in (0, 5, 200):
        (journal.folder() / f"nightloom-{today - timedelta(days=age)}.jsonl").touch()
    (journal.folder() / "worker.log").touch()
    assert [path.name for path in journal.older_than(timedelta(days=90))] == [
        f"nightloom-{today - timedelta(days=200)}.jsonl"
    ]
