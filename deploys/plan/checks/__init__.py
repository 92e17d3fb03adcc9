"""JUDGE: named checks `(Machine, Settings) -> Finding | None`. All run, all are reported; a host is refused once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deploys.plan.checks import containers, gpu, holds, packages, platform, work
from deploys.plan.finding import Finding
from deploys.plan.machine import Machine
from deploys.plan.settings import Settings

CheckFunction = Callable[[Machine, Settings], Finding | None]


@dataclass(frozen=True)
class Check:
    """A check and, where accepting it could break a host, the reason why it cannot be accepted."""

    function: CheckFunction
    never: str = ""

    @property
    def name(self) -> str:
        return self.function.__name__


CHECKS: tuple[Check, ...] = (
    Check(platform.probe_complete, never="what was not read may be what breaks the host"),
    Check(platform.linux_x86_64, never="the packages are built for x86_64"),
    Check(platform.kernel_at_least_3_10, never="no driver builds on an older kernel"),
    Check(platform.no_other_run, never="two runs at once would act on plans that no longer hold"),
    Check(platform.runs_as_root, never="nothing can be installed without root"),
    Check(platform.not_a_container, never="a container has no kernel of its own to put a driver into"),
    Check(platform.not_wsl, never="a Linux driver breaks the GPU of WSL"),
    Check(platform.not_a_jetson, never="its GPU is not driven by the packages of this toolkit"),
    Check(platform.not_immutable_os, never="its package manager does not own the system"),
    Check(platform.distro_supported, never="there is no knowledge to install by"),
    Check(platform.release_not_ended),
    Check(platform.systemd_is_init, never="steps run as transient systemd units"),
    Check(platform.secure_boot_allows_modules, never="the kernel would reject the module"),
    Check(platform.clock_sane),
    Check(platform.new_kernel_can_be_tried),
    Check(gpu.nvidia_gpu_present),
    Check(gpu.gpu_count_as_expected),
    Check(gpu.not_vgpu_guest, never="the ordinary driver stops a vGPU guest from booting"),
    Check(gpu.gpu_not_bound_to_vfio),
    Check(gpu.driver_fits_gpus, never="the driver would not serve the GPUs"),
    Check(gpu.gpus_known),
    Check(gpu.kernel_fits_driver),
    Check(gpu.module_flavour_kept, never="which module loads would be chance"),
    Check(gpu.fabric_manager_available),
    Check(gpu.driver_branch_alive),
    Check(gpu.no_foreign_driver, never="two drivers on one host break each other"),
    Check(work.gpu_idle_before_driver_change),
    Check(work.scheduler_sends_no_work),
    Check(packages.package_database_healthy, never="the package manager would refuse, or make it worse"),
    Check(packages.package_manager_free, never="two package managers at once corrupt the database"),
    Check(holds.no_foreign_hold_in_the_way, never="what somebody else holds is theirs to release"),
    Check(holds.holds_not_expired),
    Check(packages.sources_name_the_release, never="there is no archive to install from"),
    Check(packages.bundle_serves_the_release, never="there would be no package source"),
    Check(packages.headers_available),
    Check(packages.dkms_offered),
    Check(packages.compiler_fits_kernel),
    Check(packages.disk_space),
    Check(packages.cuda_fits),
    Check(packages.sources_offered, never="the release has no such source"),
    Check(packages.aur_pinned, never="anyone can change what the AUR holds"),
    Check(packages.repository_keys_known, never="packages of an unknown signer would be installed as root"),
    Check(containers.no_podman_or_snap_docker, never="it ignores --gpus or keeps its data elsewhere"),
    Check(containers.no_rootless_docker),
    Check(containers.docker_hosts_set_once),
    Check(containers.docker_reads_cdi, never="the engine would not take it"),
    Check(containers.docker_at_least_19_03, never="--gpus does not exist before 19.03"),
    Check(containers.container_security_floors),
    Check(containers.container_parts_not_known_bad),
    Check(containers.daemon_json_readable, never="a file that cannot be read cannot be merged"),
)

CHECK_NAMES = frozenset(c.name for c in CHECKS)
WAIVABLE = frozenset(c.name for c in CHECKS if not c.never)


def judge(machine: Machine, settings: Settings) -> tuple[Finding, ...]:
    """Findings of every check, in the order of `CHECKS`; accepted ones are marked, and stop nothing."""
    findings = (check.function(machine, settings) for check in CHECKS)
    return tuple(
        replace(f, accepted=f.check in settings.accept and f.check in WAIVABLE) for f in findings if f is not None
    )


# What must hold for a change of any kind, an uninstall too.
_FOR_ANY_CHANGE = (
    platform.no_other_run,
    platform.runs_as_root,
    packages.package_database_healthy,
    packages.package_manager_free,
)


def may_change(machine: Machine, settings: Settings) -> tuple[Finding, ...]:
    """Findings that stand in the way of any change of packages."""
    return tuple(f for f in (check(machine, settings) for check in _FOR_ANY_CHANGE) if f is not None and f.stops)
