"""The morning's questions have the same answers on both databases."""

import json
from itertools import pairwise

import pytest

from storage import query
from storage.errors import BadInputError
from tests.storage.flowlike import TinyParams, tiny


@pytest.fixture
def two(database_url):
    """Two runs, the second on the first one's product."""
    first = tiny(TinyParams(n=2))
    return first, tiny(TinyParams(n=3, source=first.first("square").uri))


def test_runs_come_newest_first_with_products_and_metrics(two):
    lines = query.runs()
    assert [line["run"] for line in lines] == [two[1].run, two[0].run]
    assert [p["kind"] for p in lines[0]["products"]] == ["report", "square"]
    assert lines[0]["metrics"]["mean_db"] == two[1].metrics["mean_db"]
    assert [line["run"] for line in query.runs(limit=1)] == [two[1].run]
    json.dumps(lines)


def test_a_condition_may_reach_into_params_metrics_and_products(two):
    assert [line["run"] for line in query.runs("params.n = 3")] == [two[1].run]
    assert [line["run"] for line in query.runs(f"metric.mean_db < {two[1].metrics['mean_db']}")] == [two[0].run]
    assert len(query.runs("product.kind = square and status = completed")) == 2
    assert query.runs("product.kind = clean_cube") == []


def test_one_run_is_shown_whole(two):
    shown = query.run(two[1].run[:8])
    assert shown["params"]["n"] == 3
    assert [s["name"] for s in shown["stages"]] == ["scratch", "fill"]
    assert [s["tiles"] for s in shown["stages"]] == [1, 9]
    assert all(s["status"] == "completed" and s["seconds"] >= 0 for s in shown["stages"])
    assert shown["inputs"][0]["uri"] == two[0].first("square").uri
    assert shown["made_from"][0]["id"] == two[0].first("square").id
    json.dumps(shown)


def test_products_and_one_product(two):
    assert {p["uri"] for p in query.products("kind = square")} == {s.first("square").uri for s in two}
    square = two[0].first("square")
    assert query.product(square.id)["shape"] == [7, 8]
    assert query.product(square.uri)["attrs"]["finite_fraction"] == 1.0


def test_two_runs_differ_where_they_differ(two):
    found = {line["what"]: line for line in query.compare_runs(two[0].run, two[1].run)}
    assert (found["params.n"][two[0].run], found["params.n"][two[1].run]) == (2, 3)
    assert "params.seed" not in found
    assert "metric.mean_db" in found


def test_lineage_reaches_both_ways(two):
    third = tiny(TinyParams(n=1, source=two[1].first("square").uri))
    chain = [s.first("square").id for s in (*two, third)]
    for name in chain:
        assert set(pairwise(chain)) <= set(query.lineage(name))


@pytest.mark.parametrize("ask", [query.run, query.product, query.lineage])
def test_what_is_unknown_is_one_sentence(two, ask):
    with pytest.raises(BadInputError) as caught:
        ask("ffffffff")
    assert "\n" not in str(caught.value)


def test_an_ambiguous_beginning_is_one_sentence(two):
    with pytest.raises(BadInputError, match="several begin with ''"):
        query.run("")


def test_an_answer_is_a_table(two):
    assert query.frame(query.runs()).shape[0] == 2
