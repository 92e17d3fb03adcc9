"""A bundle: its sources as text, its setting, and a plan that asks nothing else."""

from __future__ import annotations

import pytest

from deploys.knowledge.distros.debian import DEBIAN_13
from deploys.knowledge.distros.ubuntu import UBUNTU_24_04
from deploys.plan.bundle import bundle_address, bundle_sources, sources_text
from deploys.plan.describe import describe
from deploys.plan.explain import Question, machine_of
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings, SettingsError, parse_settings
from tests.plan.hosts import debian_12_bare, distro_of

T4, KERNEL = 0x1EB8, "6.8.0-60-generic"


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


def test_vendors_keys_travel_inside_the_sources() -> None:
    machine = machine_of(Question((T4,), "ubuntu", "24.04", KERNEL))
    sources = bundle_sources(machine, Settings(), UBUNTU_24_04, ("cuda", "docker"))
    assert [s.name for s in sources] == ["archive", "cuda", "docker"]
    text = sources_text(sources, "file:///srv/bundle")
    assert text.count("-----BEGIN PGP PUBLIC KEY BLOCK-----") == 2
    assert "URIs: file:///srv/bundle/cuda\nSuites: /\n" in text
    assert "Suites: noble noble-updates noble-security\n" in text
    # A line that begins a field, continues it, or parts two stanzas; nothing else is deb822.
    assert all(line.startswith((" ", "#")) or ":" in line or not line for line in text.splitlines())
    assert bundle_address(text) == "file:///srv/bundle"
    assert "https://developer.download.nvidia.com" in sources_text(sources)


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
