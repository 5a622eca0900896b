import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidecast_operator.outlets.metrics_api.label_selectors import parse
from tidecast_operator.selectors import Requirement, Selector

keys = st.from_regex(
    r"([a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,9}[A-Za-z0-9])?", fullmatch=True
)
values = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,9}[A-Za-z0-9])?|", fullmatch=True)
requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from(["In", "NotIn"]), st.lists(values, min_size=1, max_size=3).map(tuple)),
    st.builds(Requirement, keys, st.sampled_from(["Exists", "DoesNotExist"])),
)


def written(requirement, space):
    s = space
    if requirement.operator == "Exists":
        return requirement.key
    if requirement.operator == "DoesNotExist":
        return f"!{s}{requirement.key}"
    operator = {"In": "in", "NotIn": "notin"}[requirement.operator]
    return f"{requirement.key} {operator}{s}({s}{f'{s},{s}'.join(requirement.values)}{s})"


@given(st.lists(requirements, max_size=4), st.sampled_from(["", " ", "  "]))
def test_what_is_written_is_read_again(selector, space):
    text = f"{space},{space}".join(written(one, space) for one in selector)

    assert parse(text) == Selector(tuple(selector))


@pytest.mark.parametrize(
    ("text", "key", "operator", "values"),
    [
        ("forecast=checkout", "forecast", "In", ("checkout",)),
        ("forecast==checkout", "forecast", "In", ("checkout",)),
        (" forecast = checkout ", "forecast", "In", ("checkout",)),
        ("forecast!=cart", "forecast", "NotIn", ("cart",)),
        ("forecast=", "forecast", "In", ("",)),
        ("example.com/tier in (a,,b)", "example.com/tier", "In", ("a", "", "b")),
        ("tier notin ()", "tier", "NotIn", ("",)),
        ("in in (in)", "in", "In", ("in",)),
    ],
)
def test_a_requirement_has_several_spellings(text, key, operator, values):
    assert parse(text) == Selector((Requirement(key, operator, values),))


def test_without_requirements_everything_matches():
    assert parse("").matches({})
    assert parse("  ").matches({"a": "b"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("forecast in checkout", r"at 'checkout' '\(' is expected"),
        ("forecast in (a", r"at its end ',' or '\)' is expected"),
        ("forecast=a,", "at its end the key of a label is expected"),
        ("forecast=a b", "at 'b' the end is expected"),
        ("=a", "at '=' the key"),
        ("!forecast=a", "at '=' the end"),
        ("forecast ! a", "at '!' '=' or"),
        ("a=(", r"at '\(' the value"),
        ("forecast=-a", "at '-a' the value"),
        (f"forecast={'a' * 64}", "at most 63"),
        ("/forecast=a", "the key"),
        ("Example/a=b", "the key"),
        ("size > 3", "compared as numbers"),
    ],
)
def test_a_broken_selector_is_told_where(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse(text)


@given(st.text(alphabet="ab =!(),<>in-/é\n", max_size=12))
def test_no_text_breaks_it_otherwise(text):
    try:
        parse(text)
    except ValueError as error:
        assert "label selector" in str(error)  # noqa: PT017 - most texts are broken, some are not
