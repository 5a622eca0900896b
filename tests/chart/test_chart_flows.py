import pytest

from chart.rendering import cases, named, objects, of_kind, pods, rendered

GRPC, HTTP, PREDICTOR_HTTP, KEDA, METRICS_API, RELAY = 8500, 8080, 8501, 8600, 8443, 8502


def policy(found, name):
    return named(found, "NetworkPolicy", name)["spec"]


def flows(rules, direction):
    """Each flow of a policy: its ports, and the peers, None for anybody."""
    return {
        tuple(sorted(port["port"] for port in rule["ports"] if port["protocol"] == "TCP")): rule.get(direction)
        for rule in rules
    }


def finds(peer, pod):
    """Whether a peer of the own namespace is that pod."""
    selector = peer.get("podSelector")
    if selector is None or "namespaceSelector" in peer:
        return False
    labels = pod["metadata"]["labels"]
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )


def test_both_pods_refuse_everything_but_what_is_told():
    found = rendered("default")

    for one in of_kind(found, "NetworkPolicy"):
        assert set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        assert all(rule.get("ports") for rule in (*one["spec"]["ingress"], *one["spec"].get("egress", ())))
    for pod in pods(found).values():
        assert [one for one in of_kind(found, "NetworkPolicy") if finds(one["spec"], pod)]


def test_the_predictor_calls_nobody():
    assert "egress" not in policy(rendered("everything"), "tidecast-predictor")


def test_only_the_operator_and_the_test_ask_the_predictor():
    found = rendered("everything")
    allowed = flows(policy(found, "tidecast-predictor")["ingress"], "from")

    assert set(allowed) == {(GRPC,), (PREDICTOR_HTTP,)}
    asking = [name for name, pod in pods(found).items() if any(finds(peer, pod) for peer in allowed[GRPC,])]
    assert sorted(asking) == ["tidecast-check", "tidecast-operator"]


def test_the_operator_reaches_what_it_needs_and_nothing_else():
    leaving = flows(policy(rendered("default"), "tidecast-operator")["egress"], "to")

    assert set(leaving) == {(443, 6443), (53,), (443,), (GRPC,)}
    (predictor,) = leaving[GRPC,]
    assert finds(predictor, pods(rendered("default"))["tidecast-predictor"])


def test_doors_that_are_closed_let_nobody_in():
    assert set(flows(policy(rendered("default"), "tidecast-operator")["ingress"], "from")) == {(HTTP,)}


def test_doors_that_are_open_let_those_in_who_ask_there():
    found = rendered("everything")
    entering = flows(policy(found, "tidecast-operator")["ingress"], "from")

    assert set(entering) == {(HTTP,), (KEDA,), (METRICS_API,), (RELAY,)}
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert entering[HTTP,] == [monitoring]
    assert entering[KEDA,] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
    assert entering[METRICS_API,] == [{"ipBlock": {"cidr": "172.16.0.0/28"}}]
    following = [name for name, pod in pods(found).items() if any(finds(peer, pod) for peer in entering[RELAY,])]
    assert following == ["tidecast-operator"]


def test_an_outlet_server_is_entered_by_autoscalers_and_reaches_the_operator():
    found = rendered("outlet-server")
    own = policy(found, "tidecast-outlet-server")
    entering, leaving = flows(own["ingress"], "from"), flows(own["egress"], "to")

    assert set(entering) == {(HTTP,), (KEDA,), (METRICS_API,)}
    assert entering[HTTP,] == flows(policy(found, "tidecast-operator")["ingress"], "from")[HTTP,]
    assert entering[KEDA,] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
    assert entering[METRICS_API,] == [{"ipBlock": {"cidr": "172.16.0.0/28"}}]
    assert set(leaving) == {(6443,), (53,), (RELAY,)}
    assert leaving[6443,] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    reached = [name for name, pod in pods(found).items() if any(finds(peer, pod) for peer in leaving[RELAY,])]
    assert reached == ["tidecast-operator"]


def test_an_operator_with_an_outlet_server_is_entered_by_that_alone():
    found = rendered("outlet-server")
    own = policy(found, "tidecast-operator")
    entering = flows(own["ingress"], "from")

    assert set(entering) == {(HTTP,), (RELAY,)}
    following = [name for name, pod in pods(found).items() if any(finds(peer, pod) for peer in entering[RELAY,])]
    assert following == ["tidecast-outlet-server"]
    assert (RELAY,) not in flows(own["egress"], "to")


def test_the_place_of_the_api_server_narrows_the_way_to_it():
    leaving = flows(policy(rendered("everything"), "tidecast-operator")["egress"], "to")

    assert leaving[6443,] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]


@pytest.mark.parametrize(
    ("servers", "reached", "clients"),
    [
        ({}, None, None),
        ({"cidrs": ["10.0.0.1/32"]}, ["10.0.0.1/32"], ["10.0.0.1/32"]),
        ({"clientCidrs": ["10.1.0.0/28", "fd00::/64"]}, None, ["10.1.0.0/28", "fd00::/64"]),
        ({"cidrs": ["10.0.0.1/32"], "clientCidrs": ["10.1.0.0/28"]}, ["10.0.0.1/32"], ["10.1.0.0/28"]),
    ],
)
def test_the_api_server_may_come_from_elsewhere_than_where_it_is_reached(servers, reached, clients):
    found = objects({"metricsApi": {"enabled": True}, "networkPolicy": {"apiServer": servers}})

    def blocks(rule):
        return None if rule is None else [peer["ipBlock"]["cidr"] for peer in rule]

    assert blocks(flows(policy(found, "tidecast-operator")["egress"], "to")[443, 6443]) == reached
    assert blocks(flows(policy(found, "tidecast-operator")["ingress"], "from")[METRICS_API,]) == clients


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://prometheus.monitoring:9090", 9090),
        ("http://prometheus.monitoring:9090/prefix", 9090),
        ("https://prometheus.example.com", 443),
        ("http://prometheus", 80),
        ("http://[fd00::1]:9091", 9091),
    ],
)
def test_prometheus_is_asked_on_the_port_of_its_address(url, port):
    found = objects({"forecaster": {"spec": {"prometheus": {"url": url}}}})

    assert policy(found, "tidecast-operator")["egress"][2]["ports"] == [{"protocol": "TCP", "port": port}]


def test_the_port_of_prometheus_own_pods_wins_over_that_of_its_service():
    found = rendered("everything")  # the Service has 80

    assert (9090,) in flows(policy(found, "tidecast-operator")["egress"], "to")


def test_a_predictor_in_the_operators_pod_has_no_policy_of_its_own():
    found = rendered("sidecar")

    assert [one["metadata"]["name"] for one in of_kind(found, "NetworkPolicy")] == ["tidecast-operator"]
    assert (GRPC,) not in flows(policy(found, "tidecast-operator")["egress"], "to")
    assert (HTTP, PREDICTOR_HTTP) in flows(policy(found, "tidecast-operator")["ingress"], "from")


def test_names_are_asked_over_both_protocols():
    rule = policy(rendered("default"), "tidecast-operator")["egress"][1]

    assert rule == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def test_further_rules_are_added():
    more = {"ports": [{"protocol": "TCP", "port": 3128}]}
    found = objects({"networkPolicy": {"extraEgress": [more], "extraIngress": [more]}})

    assert policy(found, "tidecast-operator")["egress"][-1] == more
    assert policy(found, "tidecast-operator")["ingress"][-1] == more


@pytest.mark.parametrize("case", cases())
def test_every_port_that_is_let_in_is_one_that_listens(case):
    found = rendered(case)
    for one in of_kind(found, "NetworkPolicy"):
        listening = {
            port["containerPort"]
            for pod in pods(found).values()
            if finds(one["spec"], pod)
            for each in pod["spec"]["containers"]
            for port in each.get("ports", ())
        }
        let_in = {port for ports in flows(one["spec"]["ingress"], "from") for port in ports}
        assert let_in == listening


def test_without_policies_there_are_none():
    assert not of_kind(rendered("existing"), "NetworkPolicy")
