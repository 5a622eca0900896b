"""
The exact questions of every schema, as Prometheus is asked them.

`tests/telemetry/promql` holds them a line each, to be read when one changes; the answers of a real Prometheus to them
are in `tests/telemetry_real`.
"""

from pathlib import Path

import pytest

from tidecast_operator.telemetry.schema import RANGE, ResourceSchema
from tidecast_operator.telemetry.sources import RESOURCES, TRAFFIC

FOLDER = Path(__file__).parent / "promql"
SCHEMAS = (*TRAFFIC, *RESOURCES)


def questions(schema):
    if isinstance(schema, ResourceSchema):
        return {feature.name: query for feature, query in schema.queries.items()}
    latencies = {feature.name: query for feature, query in schema.latencies.items()}
    return {"calls": schema.calls, "requests": schema.requests, "errors": schema.errors, **latencies}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_a_schema_asks_what_is_written_down(schema):
    asked = "".join(f"# {name}, times {query.scale:g}\n{query.promql}\n" for name, query in questions(schema).items())
    assert asked == (FOLDER / f"{schema.name}.promql").read_text()


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_every_question_takes_the_range_that_was_found(schema):
    assert all(RANGE in query.promql for query in questions(schema).values())
