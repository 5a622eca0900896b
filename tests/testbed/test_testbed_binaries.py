import pytest

from tidecast_simulator.testbed import binaries


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without any program; returns a function that installs one in a folder."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("TIDECAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    def install(folder, *names):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (tmp_path / folder / name).touch(mode=0o755)
        return tmp_path / folder

    return install


@pytest.mark.usefixtures("machine")
def test_a_missing_program_says_how_to_get_it():
    reason = binaries.why_missing("kube-apiserver", "prometheus")
    assert "kube-apiserver is missing: run scripts/build-control-plane.sh" in reason
    assert "prometheus is missing: run scripts/install-system.sh" in reason


def test_the_assets_folder_comes_before_cache_and_path(machine, monkeypatch):
    machine("cache/kubernetes-1.20.2", "kube-apiserver")
    machine("path", "kube-apiserver")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine("assets", "kube-apiserver")))
    assert binaries.find("kube-apiserver").parent.name == "assets"


def test_the_cache_gives_its_newest_release(machine):
    machine("cache/kubernetes-1.9.11", "kube-apiserver")
    machine("cache/kubernetes-1.20.2", "kube-apiserver")
    assert binaries.find("kube-apiserver").parent.name == "kubernetes-1.20.2"


def test_a_controller_manager_of_another_release_is_not_mixed_in(machine, monkeypatch):
    machine("cache/kubernetes-1.20.2", "kube-apiserver", "kube-controller-manager")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine("assets", "kube-apiserver")))
    assert "KUBEBUILDER_ASSETS has a kube-apiserver" in binaries.why_missing("kube-controller-manager")
    assert "kube-controller-manager" not in binaries.why_missing()


def test_nothing_is_missing_where_all_is_installed(machine):
    machine("path", *binaries.ALL)
    assert binaries.why_missing() == ""
