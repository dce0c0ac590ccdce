"""The --where language means what it says, on both databases, and carries nothing but values."""

import operator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import query
from storage.database import now, session
from storage.errors import BadInputError, UnknownNameError
from storage.tables import Metric, ProductRow, Run

OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "<>": operator.ne,
}
FLOWS, STATUSES = ("denoise", "search", "it's", 'a "b"'), ("completed", "failed")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def nights(database_url):
    """Sixteen runs that differ in text, number, truth, parameter and metric."""
    made = []
    with session() as s:
        for i in range(16):
            row = Run(
                id=f"{i:016x}",
                flow=FLOWS[i % 4],
                key=str(i),
                status=STATUSES[i % 2],
                generation=i // 4,
                params={"tile": 64 * (i % 5), "method": "auto", "deep": {"on": i % 2 == 0, "ratio": i / 8}},
                dirty=i % 3 == 0,
                code_version="0",
                host="here",
                devices=[],
                trigger="command",
                started=now(),
            )
            made.append(row)
        s.add_all(made)
        s.flush()
        s.add_all(Metric(run_id=row.id, key="psnr_db", value=float(i)) for i, row in enumerate(made))
    return made


@dataclass(frozen=True)
class Expression:
    """A condition as text, and what it means for a run."""

    text: str
    holds: object
    rank: int  # 0 or, 1 and, 2 not and comparisons


def _inside(e, rank):
    return e.text if e.rank >= rank else f"({e.text})"


def comparisons():
    quoted = st.sampled_from(FLOWS).map(lambda v: (f'"{v}"' if "'" in v else f"'{v}'", v))
    value = {
        "flow": quoted,
        "status": st.sampled_from(STATUSES).map(lambda v: (v, v)),
        "generation": st.integers(-2, 5).map(lambda v: (str(v), v)),
        "dirty": st.booleans().map(lambda v: (str(v).lower(), v)),
        "params.tile": st.integers(-1, 300).map(lambda v: (str(v), v)),
        "params.deep.ratio": st.floats(-1, 3, allow_nan=False).map(lambda v: (repr(v), v)),
        "params.deep.on": st.booleans().map(lambda v: (str(v).lower(), v)),
    }

    def make(field, op, value):
        shown, meant = value
        return Expression(f"{field} {op} {shown}", lambda run: OPERATORS[op](_get(run, field), meant), 2)

    def of(field):
        equal_only = field in (
            "dirty",
            "params.deep.on",
            "flow",
            "status",
        )  # texts are ordered differently by each database
        ops = ["=", "!=", "==", "<>"] if equal_only else list(OPERATORS)
        return st.builds(make, st.just(field), st.sampled_from(ops), value[field])

    return st.sampled_from(list(value)).flatmap(of)


def expressions():
    def join(word, rank, how):
        def build(parts):
            return Expression(
                f" {word} ".join(_inside(p, rank + 1) for p in parts),
                lambda run: how(p.holds(run) for p in parts),
                rank,
            )

        return build

    def grow(inner):
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            several.map(join("or", 0, any)),
            several.map(join("AND", 1, all)),
            inner.map(lambda e: Expression(f"not {_inside(e, 2)}", lambda run: not e.holds(run), 2)),
        )

    return st.recursive(comparisons(), grow, max_leaves=6)


def _get(run, field):
    if not field.startswith("params."):
        return getattr(run, field)
    value = run.params
    for name in field.split(".")[1:]:
        value = value[name]
    return value


@quick
@given(expression=expressions())
def test_a_condition_selects_the_runs_it_describes(nights, expression):
    assert found(expression.text) == {run.id for run in nights if expression.holds(run)}


EXAMPLES = [
    ("metric.psnr_db > 13", {14, 15}),
    ("metric.psnr_db >= 3 and metric.psnr_db < 5 and not dirty = true", {4}),
    ("metric.unknown > 0", set()),
    ("flow like 'DEN%' and generation = 0", {0}),
    ("run = '000000000000000a'", {10}),
    ("started > '2020-01-01' and generation = 3", {12, 13, 14, 15}),
    ("started < '2020-01-01T02:00+02:00'", set()),
    ("params.method > 3", set()),
    ("params.tile = 'auto'", set()),
    ("params.nothing = 1", set()),
    ("params.deep = 1", set()),
    ("generation > 99999999999999999999999999", set()),
    ("generation < 1e400", set(range(16))),
    ("dirty = 1 and generation = 0", {0, 3}),
]


def test_examples(nights):
    for text, ids in EXAMPLES:
        assert found(text) == {f"{i:016x}" for i in ids}, text


@quick
@given(text=st.text(max_size=40))
def test_any_text_is_a_condition_or_one_sentence(nights, text):
    said = ""
    try:
        query.runs(text)
    except BadInputError as error:
        said = str(error)
    assert "\n" not in said


@quick
@given(value=st.text(st.characters(blacklist_characters="\"'", blacklist_categories=["C", "Z"]), max_size=30))
def test_a_value_is_only_ever_a_value(nights, value):
    assert found(f"flow = '{value}'") == {r.id for r in nights if r.flow == value}
    assert found(f'flow = "{value}"') == {r.id for r in nights if r.flow == value}


ATTACKS = [
    "flow = 'x'; drop table run; --'",
    "flow = 'x' or 1=1",
    "1=1",
    "flow = (select 1)",
    "flow = 'x' union select * from lease",
    "id; drop table run = 1",
    "params.a'b = 1",
    'params.a"b = 1',
    "metric.x' or '1'='1 > 3",
    "flow in ('x')",
    "sleep(10) = 1",
    "flow = 'x\\'' or 1=1 --'",
    "flow = 'a\0b'",
    "flow = '\ud800'",
    "(" * 5000 + "flow = 'x'" + ")" * 5000,
    "not " * 5000 + "flow = 'x'",
    " or ".join(["flow = 'x'"] * 5000),
]


def test_what_is_no_condition_is_refused(nights):
    for attack in ATTACKS:
        with pytest.raises(BadInputError) as caught:
            query.runs(attack)
        assert len(str(caught.value)) < 400, attack
        assert len(query.runs()) == 16, attack


UNFINISHED = [
    " ",
    "flow",
    "flow =",
    "flow = and",
    "= 3",
    "flow = 'a' and",
    "flow = 'a' flow = 'b'",
    "(flow = 'a'",
    "and = 'x'",
    "flow 'a'",
    "flow = =",
]


def test_an_unfinished_condition_is_refused(nights):
    for text in UNFINISHED:
        with pytest.raises(BadInputError):
            query.runs(text)
    assert len(query.runs("")) == 16


MISTAKES = [
    ("statsu = 'failed'", "did you mean 'status'"),
    ("product.kid = 'x'", "did you mean 'kind'"),
    ("xyzzy = 1", "choose one of"),
    ("started = 'tomorrow'", "is no date"),
    ("generation = 'many'", "is no number"),
    ("dirty = 'perhaps'", "neither true nor false"),
    ("params = 'x'", "compare one of its members"),
    ("generation like '1%'", "like compares texts"),
]


def test_a_mistake_is_named(nights):
    for text, hint in MISTAKES:
        with pytest.raises(BadInputError, match=hint):
            query.runs(text)


def test_a_field_of_another_table_is_unknown(nights):
    with pytest.raises(UnknownNameError):
        query.table(ProductRow, "seconds > 1")


def found(text):
    return {line["run"] for line in query.runs(text)}
