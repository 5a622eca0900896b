import pytest

from builders.meshes import chain
from tidecast_simulator.mesh_files import mesh_from_yaml, mesh_to_yaml, read_mesh
from tidecast_simulator.mesh_generation import Blueprint, generate
from tidecast_simulator.shop import shop

VALID = """
name: two
services:
- {name: front, namespace: shop, entry_rps: 5, replica_schedule: [[100, 3]]}
- {name: back, namespace: shop, role: queue, kind: StatefulSet}
calls:
- {caller: shop/front, callee: shop/back, share: 0.5}
"""


@pytest.mark.parametrize("mesh", [shop(), chain(), generate(Blueprint(size=40))], ids=lambda mesh: mesh.name)
def test_a_mesh_survives_its_file(mesh):
    assert mesh_from_yaml(mesh_to_yaml(mesh)) == mesh


def test_what_is_left_out_has_its_default():
    mesh = mesh_from_yaml(VALID)
    assert mesh.service("shop/front").replicas == 2
    assert mesh.service("shop/front").replica_schedule == ((100, 3),)
    assert mesh.calls[0].fan_out == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("entry_rps", "entry_rate", r"services\[0\].entry_rate: is no field", id="unknown field"),
        pytest.param("entry_rps: 5", "entry_rps: lots", r"services\[0\].entry_rps: must be a number", id="type"),
        pytest.param("entry_rps: 5", "replicas: 1.5", r"services\[0\].replicas: must be a whole number", id="whole"),
        pytest.param("role: queue", "role: broker", r"services\[1\].role: must be one of workload, queue", id="role"),
        pytest.param("name: back, ", "", r"services\[1\].name: is missing", id="missing"),
        pytest.param("share: 0.5", "share: 2", r"calls\[0\]: call shop/front -> shop/back: share must lie", id="range"),
        pytest.param("callee: shop/back", "callee: shop/bakc", "names shop/bakc, which is no service", id="callee"),
        pytest.param("[[100, 3]]", "[100, 3]", r"replica_schedule: must be a list of pairs", id="schedule"),
        pytest.param("calls:", "edges:", "edges: is no field of a mesh", id="top"),
    ],
)
def test_an_error_names_the_field(tmp_path, old, new, message):
    (tmp_path / "mesh.yaml").write_text(VALID.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_mesh(tmp_path / "mesh.yaml")


def test_the_shop_has_twenty_services_that_all_receive_traffic():
    mesh = shop()
    inside = [position for position, service in enumerate(mesh.services) if service.namespace == "shop"]
    assert len(inside) == 20
    assert all(mesh.calls_in[position] for position in inside)


def test_a_generated_mesh_looks_as_asked():
    mesh = generate(Blueprint(size=300, depth=6, fan_out=2.5, sparse_share=0.2, queue_share=0.1, namespaces=3, seed=5))
    assert len(mesh.services) == 301
    assert len(mesh.namespaces) == 4
    assert all(mesh.calls_in[position] for position in range(1, 301))
    assert 0.1 < sum(service.sparse for service in mesh.services) / 300 < 0.3
    assert any(call.asynchronous and call.delay_seconds for call in mesh.calls)


def test_the_same_seed_makes_the_same_mesh():
    assert generate(Blueprint(seed=4)) == generate(Blueprint(seed=4))
    assert generate(Blueprint(seed=4)) != generate(Blueprint(seed=5))
