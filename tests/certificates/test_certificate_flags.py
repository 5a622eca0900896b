import pytest

from tidecast_operator import cli
from tidecast_operator.certificates.wanted import predictor_files, wanted
from tidecast_operator.errors import Misconfigured


def options(*flags):
    return cli._parser().parse_args(["run", "--namespace=here", *flags])


def test_without_flags_nothing_is_issued_and_the_predictor_is_called_without_tls():
    assert wanted(options()) is None
    assert predictor_files(options()) is None


def test_the_flags_say_what_is_issued(tmp_path):
    told = options(
        "--issue-authority=ca",
        "--issue-certificate=one=a,a.here.svc",
        "--issue-certificate=two=127.0.0.1",
        "--inject-ca=v1beta1.external.metrics.k8s.io",
        f"--predictor-tls-folder={tmp_path}",
    )
    asked = wanted(told)

    assert (asked.namespace, asked.authority) == ("here", "ca")
    assert asked.certificates == {"one": ("a", "a.here.svc"), "two": ("127.0.0.1",)}
    assert asked.api_services == ("v1beta1.external.metrics.k8s.io",)
    assert [path.name for path in predictor_files(told).paths] == ["tls.crt", "tls.key", "ca.crt"]


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--issue-certificate=one=a"], "--issue-certificate: there is no authority.*give --issue-authority"),
        (["--inject-ca=v1.x"], "--inject-ca: there is no authority.*give --issue-authority"),
        (["--issue-authority=ca"], "--issue-certificate: is missing; give it with --issue-authority"),
        (["--issue-authority=C a", "--issue-certificate=one=a"], "--issue-authority: 'C a' is no name"),
        (["--issue-authority=ca", "--issue-certificate=one"], "--issue-certificate: '' in 'one' is no host name"),
        (["--issue-authority=ca", "--issue-certificate==a"], "--issue-certificate: '' is no name of an object"),
        (["--issue-authority=ca", "--issue-certificate=one=a,b_c"], "'b_c' in 'one=a,b_c' is no host name"),
        (["--issue-authority=ca", "--issue-certificate=ca=a"], "the Secret ca is named twice"),
        (["--issue-authority=ca", "--issue-certificate=one=a", "--issue-certificate=one=b"], "one is named twice"),
        (["--issue-authority=ca", "--issue-certificate=one=a", "--inject-ca="], "--inject-ca: '' is no name"),
    ],
)
def test_flags_that_cannot_be_followed_are_named_with_the_remedy(flags, problem):
    with pytest.raises(Misconfigured, match=problem):
        wanted(options(*flags))
