import pytest

from tidecast_simulator.testbed.node.rewriting import Rewriting, listened_on

SERVICES = {("predictor", 8500): "localhost:21000", ("predictor.tidecast.svc", 80): "localhost:21001"}
REWRITING = Rewriting(
    folders={
        "/data": "/pods/data",
        "/etc/tidecast": "/pods/etc",
        "/etc/tidecast/tls": "/pods/tls",
        "/pods": "/x",
    },
    ports={8080: 22080, 8500: 22500},
    own_hosts=frozenset({"198.51.100.7"}),
    resolve=lambda host, port: SERVICES.get((host, port)),
)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/data", "/pods/data"),
        ("--folder=/data/deep", "--folder=/pods/data/deep"),
        ("/data,/etc/tidecast:/etc/tidecast/tls/tls.crt", "/pods/data,/pods/etc:/pods/tls/tls.crt"),
        ("file:///data/x", "file:///pods/data/x"),
        ("/pods/a", "/x/a"),
        ("/database", "/database"),
        ("/data-base", "/data-base"),
        ("/var/data", "/var/data"),
        ("http://host/data", "http://host/data"),
    ],
)
def test_a_mount_path_becomes_its_folder_and_nothing_else_does(text, rewritten):
    assert REWRITING.argument(text) == rewritten


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("--address=0.0.0.0:8080", "--address=127.0.0.1:22080"),
        ("[::]:8080", "127.0.0.1:22080"),
        (":8080", "127.0.0.1:22080"),
        ("--address=:8080", "--address=127.0.0.1:22080"),
        ("127.0.0.1:8500", "127.0.0.1:22500"),
        ("localhost:8500", "localhost:22500"),
        ("198.51.100.7:8500", "127.0.0.1:22500"),
        ("127.0.0.1:9090", "127.0.0.1:9090"),
        ("other:8080", "other:8080"),
        ("10:80801", "10:80801"),
        ("2026-01-01T10:20:30", "2026-01-01T10:20:30"),
    ],
)
def test_a_port_that_the_pod_listens_on_becomes_a_free_one(text, rewritten):
    assert REWRITING.argument(text) == rewritten


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("predictor:8500", "localhost:21000"),
        ("http://predictor:8500/x", "http://localhost:21000/x"),
        ("http://predictor.tidecast.svc/x", "http://localhost:21001/x"),
        ("https://predictor.tidecast.svc/x", "https://predictor.tidecast.svc/x"),
        ("a.predictor:8500", "a.predictor:8500"),
        ("predictor:8501", "predictor:8501"),
        ("predictor=predictor", "predictor=predictor"),
    ],
)
def test_the_name_of_a_service_becomes_its_forwarder(text, rewritten):
    assert REWRITING.argument(text) == rewritten
    assert REWRITING.file(text.encode()) == rewritten.encode()


@pytest.mark.parametrize("text", ['{"port":8080}', "path: /data", "port: :8080"])
def test_a_file_keeps_its_paths_and_lone_ports(text):
    assert REWRITING.file(text.encode()) == text.encode()


def test_a_file_that_is_no_text_stays_as_it_is():
    content = b"\xff\xfe predictor:8500"
    assert REWRITING.file(content) == content


def test_a_pod_listens_where_its_texts_say_so():
    texts = [
        "--address=0.0.0.0:8080",
        ":8443",
        "--other=[::]:9000",
        "--to=predictor:8500",
        "10.0.0.1:7000",
        "0.0.0.0:0",
    ]
    assert listened_on(texts, (), frozenset()) == {8080, 8443, 9000}


def test_a_port_of_a_variable_is_the_pods_own_if_it_is_declared():
    assert listened_on(["--address=$(POD_IP):8080", "$(SERVER):5432"], (8080,), frozenset()) == {8080}


def test_a_port_of_the_loopback_is_the_pods_own_if_it_is_declared():
    texts = ["--address=127.0.0.1:8500", "--prometheus=http://localhost:9090"]
    assert listened_on(texts, (), frozenset()) == set()
    assert listened_on(texts, (8500, 8501), frozenset()) == {8500}
