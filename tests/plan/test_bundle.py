"""A bundle: its sources as text, its setting, and a plan that asks nothing else."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.distros.debian import DEBIAN_13
from deploys.knowledge.distros.ubuntu import UBUNTU_24_04
from deploys.operations import collect_dnf, collect_zypper
from deploys.operations.bundle import main
from deploys.operations.collect import BundleError
from deploys.plan.arguments import release
from deploys.plan.bundle import plan_bundle
from deploys.plan.describe import describe
from deploys.plan.explain import Question, machine_of
from deploys.plan.files import FileChange
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings, SettingsError, parse_settings
from tests.plan.hosts import debian_12_bare, distro_of

T4, KERNEL, BASE = 0x1EB8, "6.8.0-60-generic", "file:///srv/bundle"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (None, None),
        ("/srv/bundle/", "file:///srv/bundle"),
        ("https://site.example/bundle", "https://site.example/bundle"),
    ],
)
def test_place_of_a_bundle(value: str | None, url: str | None) -> None:
    assert parse_settings({"gpu_bundle": value}).bundle == url


@pytest.mark.parametrize("value", ["bundle", "", 5, "https://me:word@site.example/b", "/srv/b; reboot", "ftp://x/y"])
def test_place_that_is_none_is_named(value: object) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({"gpu_bundle": value})
    (problem,) = error.value.problems
    assert problem.key == "gpu_bundle"
    assert "a folder on the host, or the base URL" in problem.needed
    assert "word" not in str(problem)


def files_of(identity: str, version: str, *repositories: str, **settings: Any) -> dict[str, FileChange]:
    """What a host of that release asks, by file name."""
    distro = find_distro(identity, version)
    assert distro is not None
    machine = machine_of(Question((T4,), identity, version, KERNEL))
    bundle = plan_bundle(machine, Settings(bundle=BASE, **settings), distro, repositories)
    assert bundle is not None
    return {file.path.rpartition("/")[2]: file for file in bundle.files}


def test_vendors_keys_travel_beside_the_sources() -> None:
    files = files_of("ubuntu", "24.04", "cuda", "docker")
    assert list(files) == ["cuda.asc", "docker.asc", "bundle.sources"]
    assert files["cuda.asc"].content.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    text = files["bundle.sources"].content
    assert "URIs: file:///srv/bundle/cuda\nSuites: /\nSigned-By: /var/lib/gpu-host/bundle/cuda.asc\n" in text
    assert "Suites: noble noble-updates noble-security\n" in text
    assert text.count("Architectures: amd64\n") == 3
    # A line that begins a field, or parts two stanzas; nothing else is deb822.
    assert all(line.startswith("#") or ":" in line or not line for line in text.splitlines())


def test_sources_of_dnf_check_each_package_by_the_key_of_its_owner() -> None:
    parser = RawConfigParser()
    parser.read_string(files_of("rocky", "9.6", "cuda", "nvidia-container-toolkit")["bundle.repo"].content)
    assert [*parser] == [
        "DEFAULT",
        *(
            f"gpu-host-{n}"
            for n in ("baseos", "appstream", "crb", "extras", "epel", "cuda", "nvidia-container-toolkit")
        ),
    ]
    own, cuda, toolkit = (parser[f"gpu-host-{n}"] for n in ("baseos", "cuda", "nvidia-container-toolkit"))
    assert own["gpgkey"] == "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"
    assert parser["gpu-host-epel"]["gpgkey"].endswith("RPM-GPG-KEY-EPEL-9")
    assert (cuda["baseurl"], cuda["gpgkey"]) == (f"{BASE}/cuda", "file:///var/lib/gpu-host/bundle/cuda.asc")
    assert [r["gpgcheck"] for r in (own, cuda)] == ["1", "1"]
    # The vendor signs the index of this one and not its packages.
    assert (toolkit["gpgcheck"], toolkit["repo_gpgcheck"]) == ("0", "1")
    assert all(parser[s]["skip_if_unavailable"] == "0" for s in parser.sections())


def test_key_that_is_only_pinned_comes_out_of_the_bundle() -> None:
    key = files_of("rocky", "10.0", "cuda")["cuda.asc"]
    assert key.content == ""
    assert key.fetch is not None
    assert key.fetch.url == f"{BASE}/cuda/CDF6BA43.pub"
    assert key.fetch.fingerprint.startswith("sha256:")


def test_plan_with_a_bundle_asks_nothing_else() -> None:
    machine = debian_12_bare()
    plan = make_plan(machine, Settings(bundle="file:///srv/bundle"), distro_of(machine))
    assert plan.sources == ()
    assert [f.path for f in plan.files if "/apt/" in f.path] == []
    assert "bundle        file:///srv/bundle: no other source is asked for packages" in describe(plan, machine, "host")
    assert make_plan(machine, Settings(), distro_of(machine)).packages == plan.packages


def test_archives_of_a_release_name_its_suites() -> None:
    assert {a.suites.split()[0] for a in DEBIAN_13.archives} == {"trixie", "trixie-security"}
    assert all(a.origin and a.source.as_of for a in (*DEBIAN_13.archives, *UBUNTU_24_04.archives))


def test_every_archive_has_the_key_that_its_hosts_have() -> None:
    rows = [(d, a) for d in DISTROS for a in d.archives]
    assert {d.id for d, _ in rows} == {"debian", "ubuntu", "rocky", "almalinux", "fedora", "opensuse-leap", "arch"}
    assert all(a.keyring.startswith("/") and a.source.as_of for _, a in rows)
    # What a plan enables is collected from.
    assert all(set(d.enable) <= {a.name for a in d.archives} for d, _ in rows)


REPO = """[baseos]
name=Rocky Linux $releasever - BaseOS
mirrorlist=https://mirrors.example/mirrorlist?arch=$basearch&repo=BaseOS-$releasever$rltype
#baseurl=http://dl.example/$contentdir/$releasever/BaseOS/$basearch/os/
gpgcheck=1
[crb]
baseurl=http://mirror.example/crb/, http://other.example/crb/
enabled=0
[somebody-elses]
baseurl=http://other.example/
"""


@pytest.mark.parametrize(("version", "found"), [("9.6", True), ("8.10", False)])
def test_own_mirrors_are_those_of_the_very_same_release(tmp_path: Path, version: str, *, found: bool) -> None:
    (tmp_path / "etc/yum.repos.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(f'ID="rocky"\nVERSION_ID="{version}"\n')
    (tmp_path / "etc/yum.repos.d/rocky.repo").write_text(REPO)
    distro = find_distro("rocky", "9")
    assert distro is not None
    mirrors = collect_dnf.own_mirrors(distro, tmp_path)
    address = "mirrorlist=https://mirrors.example/mirrorlist?arch=$basearch&repo=BaseOS-$releasever$rltype"
    assert mirrors == ({"baseos": address, "crb": "http://mirror.example/crb/"} if found else {})


def test_newest_version_that_all_packages_have_is_asked_for() -> None:
    """As zypper lists them; a newer one that only one of them has is none."""
    rows = [("kmp", "580.95.05_k6.4.0-1", "x86_64"), ("kmp", "580.105.08_k6.4.0-1", "x86_64"), ("tools", "580.95.05-1", "x86_64"),
            ("tools", "580.105.08-1", "x86_64"), ("tools", "580.126.09-1", "x86_64"), ("kmp", "595.1.1-1", "x86_64"), ("tools", "595.1.1-1", "x86_64"),
            ("kmp", "580.126.09-1", "i586")]  # fmt: skip
    text = "".join(f'<solvable name="{n}" edition="{e}" arch="{a}"/>' for n, e, a in rows)
    said = f"<stream><search-result>{text}</search-result></stream>"
    found = collect_zypper.editions(said, [("kmp", "580"), ("tools", "580")])
    assert found == {"kmp": "580.105.08_k6.4.0-1", "tools": "580.105.08-1"}
    with pytest.raises(BundleError, match="no version 570 is on offer of all of: kmp, tools"):
        collect_zypper.editions(said, [("kmp", "570"), ("tools", "570")])


def test_help_names_the_releases_as_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = " ".join(capsys.readouterr().out.split()).partition("Releases: ")[2].partition(". Exit")[0].split(", ")
    assert {"arch", "debian-13"} <= set(listed)
    assert [release(name) for name in listed]
