"""Answers with many samples, read fast."""

import json

import numpy as np
import pytest

from tidecast_operator.telemetry.decoding import decode
from tidecast_operator.telemetry.series import parse

TRICKY = 'a "values":[[1,"2"]] \\ label'


def body(*points, compact=True, **labels):
    result = [{"metric": {"a": TRICKY, **labels}, "values": list(own)} for own in points]
    payload = {"status": "success", "data": {"resultType": "matrix", "result": result}, "warnings": ["w"]}
    return json.dumps(payload, separators=(",", ":") if compact else None).encode()


def samples(content):
    return parse(decode(content)["data"]["result"])


@pytest.mark.parametrize("compact", [True, False])
def test_samples_and_labels_are_read_in_either_form(compact):
    found = samples(body([[60, "1.5"], [120.5, "-2e-7"]], [[60, "3"]], compact=compact))
    assert (found.times.tolist(), found.values.tolist()) == ([60, 120.5, 60], [1.5, -2e-7, 3])
    assert (found.series.tolist(), found.labels[1]) == ([0, 0, 1], {"a": TRICKY})


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf", "0.1", "1.7976931348623157e+308", "5e-324"])
def test_every_number_is_read_exactly(text):
    found = samples(body([[60, text]])).values
    assert np.array_equal(found, [float(text)], equal_nan=True)


def test_the_envelope_is_kept():
    assert decode(body([[60, "1"]]))["warnings"] == ["w"]


def test_points_that_are_no_numbers_are_left_as_they_are():
    assert decode(body([[60, "x"]]))["data"]["result"][0]["values"] == [[60, "x"]]


def test_series_without_points_and_histograms_keep_their_places():
    result = [
        {"metric": {"n": "0"}, "values": []},
        {"metric": {"n": "1"}, "histograms": [[60, {"count": "1"}]]},
        {"metric": {"n": "2"}, "values": [[60, "7"]]},
    ]
    content = json.dumps({"data": {"result": result}}, separators=(",", ":")).encode()
    assert (samples(content).series.tolist(), samples(content).values.tolist()) == ([2], [7.0])


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"values":[[', b'"values":[[1,"2"]]'])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(ValueError, match=r"Expecting|Extra"):
        decode(content)
