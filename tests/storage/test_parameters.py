"""The idempotency key: equal for equal work, different for any difference that could change the result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.digest import digest_json
from storage.parameters import Parameters
from tests.storage.flowlike import TinyParams

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), plain, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value, chance):
    names = list(value)
    chance.shuffle(names)
    assert digest_json({name: value[name] for name in names}) == digest_json(value)


@given(plain, plain)
def test_other_data_has_another_digest(a, b):
    assert (digest_json(a) == digest_json(b)) == (repr(a) == repr(b) or (a == b and same_json(a, b)))


def same_json(a, b):
    import json

    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def test_a_default_written_out_is_the_same_work():
    assert key(TinyParams()) == key(TinyParams(n=4, seed=3, name="tiny"))


@pytest.mark.parametrize("other", [{"n": 5}, {"seed": 0}, {"name": "x"}])
def test_each_parameter_counts(other):
    assert key(TinyParams()) != key(TinyParams(**other))


def test_force_and_the_input_s_name_do_not_count():
    assert key(TinyParams(source="a")) == key(TinyParams(source="b", force=True))


def test_flow_code_and_content_count():
    keys = {
        TinyParams(source="a").key(flow, {"source": digest}, version)
        for flow in "fg"
        for digest in ("1", "2")
        for version in ("v", "w")
    }
    assert len(keys) == 8


def test_an_unknown_parameter_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TinyParams(nn=4)


def test_parameters_do_not_change_on_the_way():
    with pytest.raises(ValidationError, match="frozen"):
        TinyParams().n = 5


def test_nested_parameters_are_part_of_the_key():
    class Inner(Parameters):
        a: int = 1

    class Outer(Parameters):
        inner: Inner = Inner()

    assert key(Outer()) != key(Outer(inner=Inner(a=2)))


def key(params):
    return params.key("f", {}, "v")
