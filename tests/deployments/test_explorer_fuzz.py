"""Every address of the explorer's API, asked with what its description allows and with what it does not: never a 5xx."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from deployments.explorer.app import create_app
from tests.dataset.conftest import build, scene  # noqa: F401
from tests.deployments.test_explorer import make_run

FEW = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    database=None, derandomize=True,
)  # fmt: skip


@pytest.fixture
def known(home, scene, build):  # noqa: F811
    """A home with runs, products and a dataset; names that exist, which chance would not find."""
    from storage import query

    scene(1)
    build()
    runs = [make_run("plain", 12.5), make_run("'; --", 20.0)]
    products = [product["id"] for product in query.products(limit=10)]
    return {
        "run_id": runs,
        "product_id": products,
        "name": ["denoise", "candidates", "grasps"],
        "number": [1],
        "record": [0],
    }


def test_no_request_is_a_server_error(known):
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 25
    wrong = []
    for operation in operations:
        for mode in GenerationMode:
            asked = 0

            @FEW
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                nonlocal asked
                asked += 1
                given_path = case.path_parameters or {}
                if asked % 2:  # every other time something that exists
                    names = {name: known[name][asked // 2 % len(known[name])] for name in given_path if name in known}
                    case.path_parameters = given_path | names
                answer = case.call()
                if answer.status_code >= 500:
                    wrong.append((case.method, answer.request.url, answer.text[:300]))

            with suppress(Unsatisfiable):  # an address without parameters cannot be asked wrongly
                ask()
    assert not wrong
