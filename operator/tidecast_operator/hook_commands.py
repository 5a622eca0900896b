"""
The commands that a chart runs at certain moments: `clean-up` before it is taken away, `check` when it is tested.
"""

import argparse
import asyncio
import math
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tidecast_operator.access import Access
from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.certificates.wanted import predictor_files
from tidecast_operator.checking import Check, Finding
from tidecast_operator.clean_up import CleanUp
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.doors import Doors
from tidecast_operator.errors import Misconfigured
from tidecast_operator.forecaster_file import content, parse
from tidecast_operator.forecasters import Forecasters
from tidecast_operator.leadership import Candidate
from tidecast_operator.leases import Leases
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.resources import FORECASTERS, FORECASTS
from tidecast_operator.scope import NEEDED, NEEDED_FOR_FLOORS
from tidecast_operator.watching import namespaces_of

_CHECK_SECONDS = 180


def add_clean_up(parser: argparse.ArgumentParser, *, own_namespace: str) -> None:
    """The flags of `clean-up`."""
    parser.add_argument(
        "--namespace", action="append", default=[], help="floors only there; several times; default: all"
    )
    parser.add_argument("--lease-namespace", default=own_namespace, help="of the operator's Lease")
    parser.add_argument("--without-floors", action="store_true", help="no floor was ever raised: ask for none")
    parser.add_argument("--with-forecaster", action="store_true", help="delete the Forecaster that came from a file")
    parser.set_defaults(command=_clean_up)


def add_check(parser: argparse.ArgumentParser, *, own_namespace: str) -> None:
    """The flags of `check`."""
    parser.add_argument("--namespace", default=own_namespace, help="of the operator's Lease")
    parser.add_argument("--watch-namespaces", help="as the operator has it")
    parser.add_argument("--forecaster-file", type=Path, help="as the operator has it; with --watch-namespaces")
    parser.add_argument("--hpa-floors", action="store_true", help="as the operator has it")
    parser.add_argument("--predictor-tls-folder", type=Path, help="as the operator has it")
    parser.add_argument(
        "--api-service",
        action="append",
        default=[],
        metavar="NAME",
        help="of a metrics API that the operator serves, as in v1beta1.external.metrics.k8s.io; several times",
    )
    parser.add_argument("--without-predictor", action="store_true", help="only the operator can reach the predictor")
    parser.add_argument(
        "--timeout-seconds", type=float, default=_CHECK_SECONDS, help="to wait for, as for the first cycle"
    )
    parser.set_defaults(command=lambda options: asyncio.run(_check(options)))


def _clean_up(options: argparse.Namespace) -> int:
    with closing(Leases(load_configuration(options.kubeconfig))) as leases:
        cleaning = CleanUp(Candidate("", options.lease_namespace), leases)
        cleaning.put_to_rest()
    if not options.without_floors:
        with closing(Autoscalers(load_configuration(options.kubeconfig))) as autoscalers:
            floors = Floors(autoscalers, may_write=lambda: True, budget_seconds=math.inf)
            cleaning.give_floors_back(lambda: floors.release_all(options.namespace))
    if options.with_forecaster and not cleaning.problems:
        with closing(Forecasters(load_configuration(options.kubeconfig))) as forecasters:
            cleaning.delete_forecaster(forecasters)
    return 1 if cleaning.problems else 0


async def _check(options: argparse.Namespace) -> int:
    namespaces = namespaces_of(options)
    with ExitStack() as stack:
        doors = _OpenDoors(options, stack)
        findings = [await doors.check.api_server(doors.access)]
        if findings[0].is_good:
            findings += await (_check_namespaces(doors, namespaces) if namespaces else _check_cluster(doors))
            findings += [await doors.check.api_service(name, doors.access) for name in options.api_service]
        await doors.out.close()
    for finding in findings:
        print(finding)  # noqa: T201 - what the command is for
    return 0 if all(finding.is_good for finding in findings) else 1


class _OpenDoors:
    """All that the checks ask; closed with *stack*."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        def configuration() -> Any:
            return load_configuration(options.kubeconfig)

        self.options = options
        self.check = Check(timeout_seconds=options.timeout_seconds)
        self.cluster = stack.enter_context(closing(Cluster(configuration())))
        self.access = stack.enter_context(closing(Access(configuration())))
        self.leases = stack.enter_context(closing(Leases(configuration())))
        self.forecasters = stack.enter_context(closing(Forecasters(configuration())))
        self.out = Doors(self.cluster, predictor_tls=predictor_files(options))

    async def operator(self) -> Finding:
        """Whether a replica leads."""
        return await self.check.operator(self.leases, Candidate("", self.options.namespace))


async def _check_cluster(doors: _OpenDoors) -> list[Finding]:
    check = doors.check
    findings = [await check.definitions(doors.access, (FORECASTERS, FORECASTS)), await doors.operator()]
    if not all(finding.is_good for finding in findings):
        return findings
    forecaster, body = await check.forecaster(doors.forecasters)
    findings += [forecaster, check.condition(body, "PrometheusReachable", "Prometheus")]
    if doors.options.without_predictor:
        findings.append(check.condition(body, "PredictorReachable", "predictor"))
    elif body is not None:
        findings.append(await check.predictor(doors.out, body.get("spec") or {}))
    return findings


async def _check_namespaces(doors: _OpenDoors, namespaces: Sequence[str]) -> list[Finding]:
    check, options = doors.check, doors.options
    findings = [await check.definitions(doors.access, (FORECASTS,)), await doors.operator()]
    needed = (*NEEDED, *(NEEDED_FOR_FLOORS if options.hpa_floors else ()))
    findings += [await check.namespace(name, doors.access, doors.cluster, needed) for name in namespaces]
    try:
        spec = parse(options.forecaster_file, content(options.forecaster_file)).spec
    except Misconfigured as error:
        return [*findings, Finding("Forecaster", False, str(error))]
    findings += [Finding("Forecaster", True, f"{options.forecaster_file} can be followed")]
    findings.append(await check.prometheus(doors.out, spec))
    if not options.without_predictor:
        findings.append(await check.predictor(doors.out, spec))
    return findings
