"""kill -9 at any moment, then the same command: only what is missing is computed, and the bytes are those of a calm night."""

import os
import random
import signal

import pytest

from storage.publish import verify
from tests.faults.scenario import Death
from tests.faults.waiting import wait_for

DEATHS = [
    Death("lease"),
    Death("row", "before"),
    Death("row"),
    Death("made", "before"),
    Death("made"),
    Death("made", "after", 2),
    Death("written", "before", 7),  # the shard is stored, its row is not
    Death("written", "after", 7),
    Death("written", "before", 25 + 4),
    Death("written", "after", 25 + 25),
    Death("sealed", "before"),
    Death("sealed"),
    Death("moved"),  # the array is public, the note is not
    Death("released"),  # between the renames and the rows
    Death("committed", "before"),
    Death("committed"),
    Death("forgotten"),
    Death("discarded", "before"),
    Death("discarded"),
    Death("returned", "before"),
]
AFTER_PUBLICATION = ("committed", "forgotten", "discarded", "returned")


@pytest.mark.parametrize("death", DEATHS, ids=lambda d: f"{d.when}-{d.point}-{d.call}")
def test_a_death_at_each_point_of_a_run(local_night, undisturbed, death):
    die_and_resume(local_night, undisturbed, death)


@pytest.mark.parametrize(
    "death", [Death("written", "before", 7), Death("released"), Death("committed")], ids=lambda d: d.point
)
def test_a_death_on_either_database(night, undisturbed, death):
    die_and_resume(night, undisturbed, death)


def die_and_resume(night, undisturbed, death):
    assert night.run(death=death) == 9
    before = len(night.computed())
    assert night.run() == 0
    shards, total = undisturbed(5)
    assert night.content() == shards
    assert verify(night.uri) == []
    (summary,) = night.summaries()
    assert summary["metrics"]["total"] == total
    published = death.point in AFTER_PUBLICATION and (death.point, death.when) != ("committed", "before")
    expected = ["completed"] if published else ["interrupted", "completed"] if has_row(death) else ["completed"]
    assert night.statuses() == expected
    lost = 1 if death.point == "written" and death.when == "before" and death.call > 25 else 0
    assert len(night.computed()) == 25 + lost
    assert before in (0, 3 + lost, 25)
    assert night.run() == 0
    assert len(night.computed()) == 25 + lost
    assert night.leftovers() == []


def has_row(death: Death) -> bool:
    return death not in (Death("lease"), Death("row", "before"))


def test_two_deaths_and_a_third_try(local_night, undisturbed):
    assert local_night.run(death=Death("written", call=10)) == 9
    assert local_night.run(death=Death("released")) == 9
    assert local_night.run() == 0
    assert local_night.content() == undisturbed(5)[0]
    assert local_night.statuses() == ["interrupted", "interrupted", "completed"]
    assert len(local_night.computed()) == 25


def test_kill_9_from_outside_in_the_middle_of_a_stage(local_night, undisturbed):
    kill_at_random(local_night, undisturbed, random.Random(1), n=5, deaths=2)


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(20))
def test_many_kills_at_random_moments(local_night, undisturbed, seed):
    kill_at_random(local_night, undisturbed, random.Random(seed), n=8, deaths=6)


def kill_at_random(night, undisturbed, chance, *, n, deaths):
    delay = 0.01
    expected = 2 * n * n * (delay + 0.01)
    killed = 0
    for _ in range(deaths):
        process = night.start(n=n, delay=delay)
        process.join(0.2 + chance.random() * expected)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join(120)
    assert night.run(n=n, delay=delay) == 0
    assert night.content() == undisturbed(n)[0]
    assert verify(night.uri) == []
    assert night.statuses().count("completed") == 1
    assert set(night.statuses()) <= {"completed", "interrupted"}
    assert len(night.computed()) <= n * n + killed  # at most one tile per death was computed and not yet written down
    assert night.leftovers() == []


def test_a_request_to_end_leaves_a_cancelled_run_and_no_staging_in_the_way(local_night, undisturbed):
    process = local_night.start(delay=0.03)
    wait_for(lambda: len(local_night.computed()) > 2)
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 1
    assert local_night.statuses() == ["cancelled"]
    done = len(local_night.computed())
    assert local_night.run(delay=0.03) == 0
    assert local_night.statuses() == ["cancelled", "completed"]
    assert local_night.content() == undisturbed(5)[0]
    assert len(local_night.computed()) <= 25 + 1
    assert done >= 3
