"""The API against its own description: schemathesis makes requests from it and holds the answers against it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.leaderboard.web import Web

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


ROUTES = [
    *(f"GET /api/v1/{name}" for name in ("board", "board.csv", "history", "rules", "compare", "submissions")),
    "POST /api/v1/submissions",
    "GET /api/v1/submissions/{submission_id}",
    *(f"{verb} /api/v1/submissions/{{submission_id}}/archive" for verb in ("HEAD", "PATCH")),
    *(f"POST /api/v1/submissions/{{submission_id}}/{verb}" for verb in ("complete", "cancel", "withdraw")),
]


@pytest.fixture(scope="module")
def operations(web: Web):
    """Every operation of the description that a client loads, by method and path."""
    schema = schemathesis.openapi.from_url(f"{web.url}/api/v1/openapi.json")
    return {operation.label: operation for found in schema.get_all_operations() for operation in [found.ok()]}


@pytest.fixture(scope="module")
def headers(web: Web):
    return {"Authorization": f"Bearer {web.opened.store.create_token('Fuzz')}"}


def test_the_description_has_these_routes_and_no_other(operations):
    assert sorted(operations) == sorted(ROUTES)


#: Every route with requests as they should be, and those that take something with requests as they should not be.
CASES = [(route, mode) for route in ROUTES for mode in schemathesis.GenerationMode
         if mode.is_positive or route not in ("GET /api/v1/rules", "GET /api/v1/submissions")]  # fmt: skip


@pytest.mark.parametrize(("route", "mode"), CASES, ids=lambda v: getattr(v, "value", v))
def test_answers_are_as_described(operations, headers, web, route, mode):
    operation, statuses = operations[route], set()

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def hold(case):
        if "submission_id" in (case.path_parameters or {}) and mode.is_positive:
            case.path_parameters["submission_id"] = web.ids[len(statuses) % 2]  # one that is there, of two teams
        statuses.add(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

    hold()
    assert statuses and max(statuses) < 500
