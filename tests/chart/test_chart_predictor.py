from chart.command_lines import PREDICTOR, flags, mounts
from chart.rendering import cases, container, containers, named, objects, pods, rendered, texts


def test_an_accelerator_is_one_value():
    found = objects({"predictor": {"gpu": {"enabled": True}}})
    deployment, one = named(found, "Deployment", "tidecast-predictor")["spec"], container(found, PREDICTOR)

    assert one["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment["strategy"] == {"type": "Recreate"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in deployment["template"]["spec"][
        "tolerations"
    ]
    assert mounts(found, PREDICTOR)["/dev/shm"] == "shared-memory"  # noqa: S108
    assert flags(found, PREDICTOR).device == "cuda"
    assert one["image"].endswith("-cuda")


def test_where_an_accelerator_is_can_be_said():
    spec = named(rendered("gpu"), "Deployment", "tidecast-predictor")["spec"]["template"]["spec"]

    assert spec["runtimeClassName"] == "nvidia"
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "nvidia.com/gpu.present": "true"}


def test_an_accelerator_can_be_claimed():
    claim = {"name": "gpu", "resourceClaimTemplateName": "one"}
    found = objects({"predictor": {"gpu": {"enabled": True, "resourceClaims": [claim]}}})

    assert pods(found)["tidecast-predictor"]["spec"]["resourceClaims"] == [claim]
    assert container(found, PREDICTOR)["resources"]["claims"] == [{"name": "gpu"}]
    assert "nvidia.com/gpu" not in container(found, PREDICTOR)["resources"]["limits"]


def test_without_an_accelerator_nothing_speaks_of_one():
    text = "".join(texts({}).values())

    assert "nvidia" not in text
    assert flags(rendered("default"), PREDICTOR).device == "cpu"


def test_what_is_learned_is_kept_where_it_is_asked_for():
    claim = named(rendered("gpu"), "PersistentVolumeClaim", "tidecast-predictor")["spec"]
    folder = str(flags(rendered("gpu"), PREDICTOR).data_dir)

    assert claim["resources"]["requests"]["storage"] == "50Gi"
    assert claim["storageClassName"] == "fast"
    assert mounts(rendered("gpu"), PREDICTOR)[folder] == "data"
    for case, kind in (
        ("default", "emptyDir"),
        ("gpu", "persistentVolumeClaim"),
        ("existing", "persistentVolumeClaim"),
    ):
        (volume,) = [
            one for one in pods(rendered(case))["tidecast-predictor"]["spec"]["volumes"] if one["name"] == "data"
        ]
        assert kind in volume


def test_a_volume_is_never_held_by_two_predictors():
    for case in ("gpu", "existing", "everything"):
        assert named(rendered(case), "Deployment", "tidecast-predictor")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_claim_can_ask_for_no_class():
    persistence = {"enabled": True, "storageClass": "-"}
    found = objects({"predictor": {"persistence": persistence}})

    assert named(found, "PersistentVolumeClaim", "tidecast-predictor")["spec"]["storageClassName"] == ""


def test_a_training_keeps_to_the_processors_of_its_container():
    for case in cases():
        (one,) = [one for name, one in containers(rendered(case)).items() if name.endswith("/predictor")]
        (threads,) = [int(arg.partition("=")[2]) for arg in one["args"] if arg.startswith("--training-threads")]
        assert threads <= int(one["resources"]["limits"]["cpu"])
