"""One tile of a worker computes at a time, and another computes while it reads or writes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.turns import aside, turn


def test_one_computes_at_a_time():
    inside, most = [], []

    def tile(_):
        with turn():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tile, range(20)))
    assert max(most) == 1


def test_reading_overlaps_with_computing():
    reading, computed = threading.Event(), threading.Event()

    def reader():
        with turn(), aside():
            reading.set()
            assert computed.wait(10)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(reader)
        assert reading.wait(10)
        with turn():  # while the other reads
            computed.set()
        other.result()


def test_only_time_on_the_device_counts():
    with turn() as mine:
        time.sleep(0.02)
        with aside():
            time.sleep(0.2)
            with aside():  # a read within a read
                pass
    assert 0.02 <= mine.computed < 0.1


def test_an_error_gives_the_turn_back():
    with pytest.raises(ValueError), turn(), aside():
        raise ValueError
    with pytest.raises(ValueError), turn():
        raise ValueError
    with turn(), aside(), turn():  # free again, also to a turn within
        pass


def test_outside_a_tile_nothing_is_waited_for():
    with turn(), ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: aside().__enter__()).result(10)
