#!/usr/bin/env python3
"""
Starts built images as a cluster would, without one, and says line by line whether each is what it should be.

A command runs as the image's user in network, mount and process namespaces of its own; the root is mounted read-only,
and /tmp and /data alone can be written. Needs root, buildah and Python 3.11. The exit status is 1 if anything is not so.

Usage: check-images.py [--target operator|predictor] [PREFIX [TAG]]      of the images that build-images.sh made
"""

import argparse
import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_TARGETS = ("operator", "predictor")
_USER = 20001
_WRITABLE = ("/tmp", "/data")  # noqa: S108

# Arguments: the root, then the command with its environment. Nothing of it outlives the shell.
_ENTER = f"""
ip link set lo up
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=0770,uid={_USER},gid={_USER} tmpfs "$1/data"
root=$1
shift
exec env -i "$@"
"""

# An API server that is never there.
_KUBECONFIG = json.dumps(
    {
        "current-context": "none",
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "none", "user": {}}],
    }
)

# Waits for the image's health check, asks once what $1 says, and tells the program to stop, as a kubelet would.
_SERVED = """
echo "$KUBECONFIG_TEXT" >/tmp/kubeconfig
export KUBECONFIG=/tmp/kubeconfig
"$@" & program=$!
for _ in $(seq 90); do sh -c "$HEALTH" 2>/dev/null && break; sleep 1; done
sh -c "$HEALTH"
sh -c "$THEN"
kill -TERM $program
wait $program
"""

_IMPORTS = """
import importlib, pkgutil
for name in {packages}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        try:
            module.name.endswith("__main__") or importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            assert error.name == "matplotlib", error  # pictures are made at a desk
"""

_READY = """
import http.client, time
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
for _ in range(90):
    answer = HealthStub(grpc.insecure_channel("127.0.0.1:8500")).Check(HealthCheckRequest())
    if answer.status == 1:
        break
    time.sleep(1)
assert answer.status == 1, answer
connection = http.client.HTTPConnection("127.0.0.1", 8501)
connection.request("GET", "/readyz")
assert connection.getresponse().status == 200
from tidecast_predictor.compiled import native_is_there
import platform
assert native_is_there() or platform.machine() != "x86_64", "the compiled recurrence is not used"
"""


@dataclass(frozen=True)
class Image:
    """
    A built image, open.

    Attributes:
        name: As in ghcr.io/tidecast/operator:0.1.0.
        root: Where its files lie.
        config: What it tells a runtime, as Docker names it.
        container: Of buildah.
    """

    name: str
    root: Path
    config: dict[str, Any]
    container: str

    @property
    def target(self) -> str:
        """Operator or predictor."""
        return self.name.rpartition(":")[0].rpartition("/")[2]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run *command* as described above; its output, both streams in one, and its status."""
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        user = ["/usr/sbin/chroot", f"--userspec={_USER}:{_USER}", "--groups=", str(self.root), *command]
        enter = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", _ENTER, "sh"]
        return _run(*enter, str(self.root), *variables, *user, timeout=300)

    def serve(self, then: str) -> subprocess.CompletedProcess[str]:
        """Start it as the image says until it is healthy, run a shell command beside it, stop it; the output, its status."""
        command = [*self.config["Entrypoint"], *self.config["Cmd"]]
        health = shlex.join(self.config["Healthcheck"]["Test"][1:])
        return self.run("sh", "-euc", _SERVED, "sh", *command, HEALTH=health, THEN=then, KUBECONFIG_TEXT=_KUBECONFIG)


@contextmanager
def opened(name: str) -> Iterator[Image]:
    """The image of that name; raises CalledProcessError where there is none."""
    container = _run("buildah", "from", "--pull-never", name, check=True).stdout.strip()
    try:
        root = Path(_run("buildah", "mount", container, check=True).stdout.strip())
        config = json.loads(_run("buildah", "inspect", "--type", "image", name, check=True).stdout)["Docker"]["config"]
        yield Image(name, root, config, container)
    finally:
        _run("buildah", "rm", container, check=True)


def claims(image: Image) -> Iterator[tuple[str, bool | subprocess.CompletedProcess[str]]]:
    """What should be so of *image*, and whether it is."""
    program = f"tidecast-{image.target}"
    buildah = ["buildah", "run", "--isolation", "chroot", image.container, "--"]
    yield "it runs as 20001:20001", image.config["User"] == f"{_USER}:{_USER}"
    yield "buildah runs it so", _run(*buildah, "id", "-u").stdout.strip() == str(_USER)
    yield f"buildah starts {program} --help", _run(*buildah, program, "--help")
    for path in _WRITABLE:
        yield f"{path} can be written", image.run("touch", f"{path}/here")
    for path in ("/", "/etc", "/opt/tidecast", "/var/tmp"):  # noqa: S108
        yield f"{path} cannot", image.run("touch", f"{path}/here").returncode != 0
    for tool in ("cc", "gcc", "c++", "g++", "clang", "as", "ld", "make", "pip", "git", "curl", "wget"):
        yield f"it has no {tool}", image.run("sh", "-c", f"command -v {tool}").returncode != 0
    yield "it has no pip to import", image.run("python", "-c", "import pip").returncode != 0
    others = _run("find", str(image.root / "opt"), "-uid", str(_USER), "-o", "-perm", "/6022", "!", "-type", "l")
    yield "its user can change no program", not others.stdout
    packages = ("tidecast_contract", f"tidecast_{image.target}")
    yield "all its modules can be imported", image.run("python", "-c", _IMPORTS.format(packages=packages))
    yield "its requirements are there", image.run("python", "-c", _requirements(image.target))
    if image.target == "operator":
        yield "it has no PyTorch", image.run("python", "-c", "import torch").returncode != 0
        nowhere = image.run(*image.config["Entrypoint"], *image.config["Cmd"])
        yield "without a cluster it says so", nowhere.returncode == 2 and "Traceback" not in nowhere.stdout
        yield "it is healthy while the API server is away, and stops when told", image.serve("true")
    else:
        yield (
            "it gets ready, with compiled code, and stops when told",
            image.serve(shlex.join(["python", "-c", _READY])),
        )


def main(arguments: list[str]) -> int:
    """The script; returns the exit status."""
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    parser = argparse.ArgumentParser(description="Starts built images as a cluster would, and checks them.")
    parser.add_argument("prefix", nargs="?", default="ghcr.io/tidecast")
    parser.add_argument("tag", nargs="?", default=version)
    parser.add_argument("--target", dest="targets", action="append", choices=_TARGETS, help="can be given twice")
    flags = parser.parse_args(arguments)
    failed = 0
    for target in flags.targets or _TARGETS:
        with opened(f"{flags.prefix}/{target}:{flags.tag}") as image:
            size = _run("du", "-sm", str(image.root)).stdout.split()[0]
            print(f"{image.name}, {size} MiB")  # noqa: T201
            for claim, is_so in claims(image):
                done = is_so if isinstance(is_so, bool) else is_so.returncode == 0
                print(f"  {'yes' if done else 'NO '}  {claim}", flush=True)  # noqa: T201
                if not done:
                    failed += 1
                    print("" if isinstance(is_so, bool) else is_so.stdout)  # noqa: T201
    return 1 if failed else 0


def _requirements(target: str) -> str:
    """Python code that fails where a package that the project asks for is missing."""
    done = _run(sys.executable, str(_ROOT / "scripts" / "list-requirements.py"), target, check=True)
    names = [line.split(">")[0].split("=")[0].split("!")[0] for line in done.stdout.splitlines()]
    return f"import importlib.metadata as m\nfor name in {names!r}: m.version(name)"


def _run(*command: str, check: bool = False, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    errors = None if check else subprocess.STDOUT
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=check, timeout=timeout)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
