"""
Pods for the testbed's node: a web program and a script in a few lines, and manifests that run them.
"""

import sys
from typing import Any

WEB = """
import http.server, os, signal, sys, threading, time

flags = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
broken = threading.Event()

def end(*_):
    print("ending", flush=True)
    while not os.path.exists(flags.get("end-file", "/")):
        time.sleep(0.05)
    print("ended", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, end)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/break":
            broken.set()
        status = 500 if broken.is_set() and self.path == "/healthz" else 200
        if self.path == "/readyz" and not os.path.exists(flags.get("ready-file", "/")):
            status = 503
        body = (os.environ.get("VERSION", "") + " " + os.environ["HOSTNAME"]).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

host, _, port = flags["address"].rpartition(":")
print("listening", flush=True)
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""

WEB_IMAGE, SCRIPT_IMAGE = "example.org/web", "example.org:5000/script"

PROGRAMS = {WEB_IMAGE: [sys.executable, "-c", WEB], SCRIPT_IMAGE: [sys.executable, "-c"]}
"""What the images of these pods are: the script's takes its code as its argument."""


def probe(path: str, **more: Any) -> dict[str, Any]:
    """A probe of the web program."""
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1, **more}


def web(*, version: str = "1", arguments: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A container that serves, with probes for its life and readiness."""
    return {
        "name": "web",
        "image": f"{WEB_IMAGE}:{version}",
        "args": ["--address=0.0.0.0:8080", *arguments],
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": probe("/healthz", failureThreshold=2),
        "readinessProbe": probe("/readyz"),
        **more,
    }


def script(code: str, **more: Any) -> dict[str, Any]:
    """A container that runs Python code to its end."""
    return {"name": "script", "image": SCRIPT_IMAGE, "args": [code], **more}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod on its own, which ends within seconds and is not started again."""
    quick = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5}
    body = {"containers": list(containers), **quick, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body}


def deployment(name: str, *containers: dict[str, Any], replicas: int = 1, **spec: Any) -> dict[str, Any]:
    """A Deployment that never has fewer replicas than asked for."""
    labels = {"app": name}
    body = {"containers": list(containers), "terminationGracePeriodSeconds": 5, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": body},
        },
    }


def job(name: str, container: dict[str, Any], *, retries: int = 0) -> dict[str, Any]:
    """A Job of one pod."""
    template = {"spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 5}}
    spec = {"backoffLimit": retries, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def service(name: str, **more: Any) -> dict[str, Any]:
    """A Service in front of the pods of that name."""
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **more}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
