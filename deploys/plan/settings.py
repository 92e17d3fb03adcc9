"""Settings of one host: flat keys that begin with `gpu_`, parsed once into a typed record.

Everything wrong is reported together, before anything is touched. Keys without the prefix belong to others and are
ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from deploys.plan import settings_values as values
from deploys.plan.monitoring import Monitoring
from deploys.plan.service import Service
from deploys.plan.settings_aur import AurPin, aur
from deploys.plan.settings_mirrors import Mirror, bundle, mirrors
from deploys.plan.settings_monitoring import monitoring
from deploys.plan.settings_proxy import Proxy, proxy
from deploys.plan.settings_services import services
from deploys.plan.settings_values import Context, Problem, SettingsError, Validator, show, suggest

__all__ = ["AurPin", "Mirror", "Problem", "Proxy", "Settings", "SettingsError", "parse_settings"]

PREFIX = "gpu_"

# The first branch with open kernel modules (source: NVIDIA's announcement of R515, May 2022).
_FIRST_OPEN_BRANCH = 515


@dataclass(frozen=True)
class Settings:
    """What is wanted of one host; the key of a field is its name with `gpu_` before it.

    `driver_source` and `docker_source` "auto" are what the release's room names: the vendor's repository wherever it
    serves the release, the distribution's own packages elsewhere. `driver_branch` is a branch ("580") or a full version. `cuda` is "auto" (the newest that fits), versions, or None
    (no toolkit). `docker_live_restore` (containers outlive dockerd) and `docker_cdi` None leave daemon.json as it is. `container_runtime` None leaves Docker without the NVIDIA runtime, for hosts that have another way.
    `bundle` is the URL of what `./provision bundle` has collected; then nothing else is asked for packages.
    `drain` and `undrain` are shell commands that move the work of the host away before its driver or kernel changes, and call it back.
    Packages that have been held for more than `hold_days` are reported.
    `max_unavailable` hosts may be down at once in a rolling run, which ends when more than `max_failed` have failed.
    `new_kernel` "boot": a newer kernel that is fit is a reason for a reboot; "wait": it is only told.
    `connect_timeout`, `probe_timeout`, `reboot_timeout`, `operation_timeout` and `drain_timeout` are seconds. `accept` names checks that do not refuse the host.
    `rollback`: a host whose proof fails goes back to the packages that it was proven with.
    `uninstall_services`: deploys/uninstall.py takes model services and monitoring away too.
    `report_dir` is a folder on the controller.
    """

    profile: Literal["full", "containers", "raw"] = "full"
    driver_source: Literal["auto", "distro", "nvidia"] = "auto"
    driver_branch: str | None = None
    kernel_modules: Literal["auto", "proprietary", "open"] = "auto"
    cuda: Literal["auto"] | tuple[str, ...] | None = "auto"
    docker_source: Literal["auto", "distro", "docker"] = "auto"
    docker_live_restore: bool | None = None
    docker_cdi: Literal[True] | None = None
    container_runtime: Literal["nvidia", "aur"] | None = "nvidia"
    expected_gpus: int | None = None
    accept: tuple[str, ...] = ()
    mirrors: Mapping[str, Mirror] = field(default_factory=dict)
    bundle: str | None = None
    proxy: Proxy | None = None
    aur: Mapping[str, AurPin] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    monitoring: Monitoring | None = None
    drain: str | None = None
    undrain: str | None = None
    drain_timeout: int = 600
    hold_days: int = 90
    max_unavailable: int = 1
    max_failed: int = 0
    connect_timeout: int = 30
    probe_timeout: int = 180
    reboot: Literal["when-needed", "never"] = "when-needed"
    new_kernel: Literal["boot", "wait"] = "boot"
    reboot_timeout: int = 1200
    operation_timeout: int = 5400
    rollback: Literal["when-proof-fails", "never"] = "when-proof-fails"
    uninstall_services: bool | None = None
    report_dir: str | None = "reports"

    @property
    def cuda_versions(self) -> tuple[str, ...]:
        """The CUDA versions asked for by number; empty for "auto" and for None."""
        return self.cuda if isinstance(self.cuda, tuple) else ()


_VALIDATORS: Mapping[str, Validator] = {
    "profile": values.choice("full", "containers", "raw"),
    "driver_source": values.choice("auto", "distro", "nvidia"),
    "driver_branch": values.driver_branch,
    "kernel_modules": values.choice("auto", "proprietary", "open"),
    "cuda": values.cuda,
    "docker_source": values.choice("auto", "distro", "docker"),
    "docker_live_restore": values.switch(True, False),
    "docker_cdi": values.switch(True),
    "container_runtime": values.choice("nvidia", "aur", none=True),
    "expected_gpus": values.whole_number(1, None, "GPUs", none=True),
    "accept": values.accept,
    "mirrors": mirrors,
    "bundle": bundle,
    "proxy": proxy,
    "aur": aur,
    "services": services,
    "monitoring": monitoring,
    "drain": values.command,
    "undrain": values.command,
    "drain_timeout": values.whole_number(1, 86400, "seconds"),
    "hold_days": values.whole_number(1, None, "days"),
    "max_unavailable": values.whole_number(1, None, "hosts"),
    "max_failed": values.whole_number(0, None, "hosts"),
    "connect_timeout": values.whole_number(1, 600, "seconds"),
    "probe_timeout": values.whole_number(1, 3600, "seconds"),
    "reboot": values.choice("when-needed", "never"),
    "new_kernel": values.choice("boot", "wait"),
    "reboot_timeout": values.whole_number(60, 7200, "seconds"),
    "operation_timeout": values.whole_number(60, 86400, "seconds"),
    "rollback": values.choice("when-proof-fails", "never"),
    "uninstall_services": values.switch(True, False),
    "report_dir": values.folder,
}


def parse_settings(
    data: Mapping[str, object],
    *,
    checks: frozenset[str] = frozenset(),
    waivable: frozenset[str] = frozenset(),
    read_file: Callable[[str], str | None] = lambda _: None,
) -> Settings:
    """The settings in a host's data.

    `checks` are the names of all checks, `waivable` those that `gpu_accept` may name. `read_file` gives the text of a
    file on the controller, or None when it cannot. Raises SettingsError with every problem.
    """
    context = Context(checks, waivable, read_file)
    clean: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in data.items():
        if not isinstance(key, str) or not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        try:
            clean[name] = _VALIDATORS.get(name, _unknown)(key, value, context)
        except SettingsError as error:
            problems += error.problems
    problems += _contradictions(clean)
    if problems:
        raise SettingsError(*problems)
    return Settings(**clean)


def _unknown(key: str, _value: object, _context: Context) -> object:
    keys = [PREFIX + f.name for f in fields(Settings)]
    likely = suggest(key, keys)
    fix = f"write {likely}" if likely else "remove it; inventories/example.py shows every setting"
    raise SettingsError(Problem(show(key).strip("'\""), "a key that means nothing here", "a known gpu_ key", fix))


def _contradictions(clean: Mapping[str, Any]) -> list[Problem]:
    """Settings that are fine alone and not together. A value that equals the default asks for nothing."""
    settings = Settings(**clean)
    problems = []
    if settings.profile == "raw":
        problems += [
            _left_out(settings, key)
            for key in ("docker_source", "docker_live_restore", "docker_cdi", "container_runtime")
            if getattr(settings, key) not in (getattr(Settings(), key), None)
        ]
    if settings.profile == "containers" and settings.cuda_versions:
        problems.append(_left_out(settings, "cuda"))
    if bool(settings.drain) != bool(settings.undrain):
        there, lacking = ("drain", "undrain") if settings.drain else ("undrain", "drain")
        problems.append(
            Problem(f"gpu_{lacking}", f"None, with gpu_{there}", "both of them, or neither", f'gpu_{lacking} = "..."')
        )
    branch = int((settings.driver_branch or "0").split(".")[0])
    if settings.kernel_modules == "open" and 0 < branch < _FIRST_OPEN_BRANCH:
        problems.append(
            Problem(
                "gpu_kernel_modules",
                f'"open" together with gpu_driver_branch = "{settings.driver_branch}"',
                f"branch {_FIRST_OPEN_BRANCH} or newer: older ones have no open kernel modules",
                'gpu_kernel_modules = "auto", or a newer gpu_driver_branch',
            )
        )
    return problems


def _left_out(settings: Settings, key: str) -> Problem:
    found = f'{show(getattr(settings, key))} together with gpu_profile = "{settings.profile}", which leaves that out'
    fix = f'gpu_profile = "full", or remove gpu_{key}'
    return Problem(PREFIX + key, found, "a profile and settings that agree", fix)
