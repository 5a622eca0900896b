import os
import subprocess
import sys
import time

import pytest
import requests

from builders.meshes import chain, service, simulation
from tidecast_simulator.live import LiveMesh, LiveServer, MeshFile
from tidecast_simulator.mesh import Call
from tidecast_simulator.mesh_files import mesh_from_yaml, mesh_to_yaml


@pytest.fixture
def server():
    live = LiveMesh(simulation(chain(), tick_seconds=1), since=time.time() - 60, sources=("istio", "cadvisor"))
    running = LiveServer(live).start()
    yield running
    running.stop()


def get(server: LiveServer, path: str) -> requests.Response:
    return requests.get(server.url + path, timeout=10)


def test_each_exporter_has_a_path_of_its_own(server):
    assert "container_cpu_usage_seconds_total{" in get(server, "/metrics/cadvisor").text
    assert "istio_requests_total{" not in get(server, "/metrics/cadvisor").text
    assert "istio_requests_total{" in get(server, "/metrics").text
    assert get(server, "/metrics/linkerd").status_code == 404


def test_the_content_type_is_the_one_prometheus_asks_for(server):
    assert get(server, "/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_a_service_can_be_added_while_it_runs(server):
    mesh = mesh_from_yaml(get(server, "/mesh").text)
    added = mesh.with_service(service("new"), Call("shop/front", "shop/new"))
    assert requests.post(server.url + "/reload", data=mesh_to_yaml(added), timeout=10).status_code == 200
    time.sleep(2)  # two ticks
    assert 'destination_workload="new"' in get(server, "/metrics").text


def test_a_mesh_that_does_not_fit_changes_nothing(server):
    answer = requests.post(server.url + "/reload", data="services: []", timeout=10)
    assert answer.status_code == 400
    assert "services" in answer.text
    assert 'destination_workload="back"' in get(server, "/metrics").text


def test_a_changed_file_is_followed(tmp_path, capsys):
    path = tmp_path / "mesh.yaml"
    path.write_text(mesh_to_yaml(chain()))
    live = LiveMesh(simulation(chain(), tick_seconds=5), since=time.time() - 600)
    server = LiveServer(live, file=MeshFile(path)).start()
    path.write_text("name: broken")
    os.utime(path, ns=(1, 1))
    server.get("/metrics")
    assert "services: must be a list" in capsys.readouterr().err
    path.write_text(mesh_to_yaml(chain().without_service("shop/back")))
    os.utime(path, ns=(2, 2))
    server.get("/metrics")
    server.stop()
    assert [one.name for one in live.mesh.services] == ["front"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidecast_simulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_line_prints_a_mesh_that_it_reads_again(tmp_path):
    (tmp_path / "mesh.yaml").write_text(run("mesh", "--mesh", "random", "--size", "5", "--depth", "2").stdout)
    calls = run("truth", "--mesh", str(tmp_path / "mesh.yaml"))
    assert calls.returncode == 0, calls.stderr
    assert "mesh/StatefulSet/service-0" in calls.stdout


def test_the_command_line_records(tmp_path):
    done = run("record", str(tmp_path / "data"), "--days", "0.05", "--future-hours", "1")
    assert done.returncode == 0, done.stderr
    assert "recorded" in done.stdout
    assert len(list((tmp_path / "data").glob("*/index"))) in (1, 2)


def test_the_command_line_says_what_does_not_fit(tmp_path):
    done = run("serve", "--mesh", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.yaml" in done.stderr
