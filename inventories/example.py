"""Every setting with its default. Copy this file, keep what differs, then: ./provision COPY.py --dry

A list here is a group, and its names are hosts; helpers begin with "_". Settings may stand in a group's data, as here,
in a host's own data, or in group_data/NAME_OF_THE_GROUP.py; the most particular one wins.
"""

from typing import Any

_settings: dict[str, Any] = {
    # What becomes of the host: "full" (driver, CUDA, Docker, container runtime), "containers" (the same without CUDA;
    # images bring their own) or "raw" (driver and CUDA, no Docker).
    "gpu_profile": "full",
    # Where the driver and CUDA come from: "nvidia" (NVIDIA's repository), "distro" (the distribution's archive), or "auto":
    # what the table in docs/supported.md names.
    "gpu_driver_source": "auto",
    # A driver branch ("580") or a full version ("580.159.03"), always in quotes; None takes what the source offers.
    "gpu_driver_branch": None,
    # "auto": proprietary wherever every GPU allows it, open where one demands it. Or "proprietary", or "open".
    "gpu_kernel_modules": "auto",
    # "auto": the newest CUDA toolkit that fits; a version ("12.4") or a list of them; None: no toolkit.
    "gpu_cuda": "auto",
    # Where Docker comes from: "docker" (Docker's repository), "distro", or "auto" as above.
    "gpu_docker_source": "auto",
    # True: running containers outlive a restart of dockerd (taken over by a reload), though new connections to ports that they publish are turned
    # away for a moment; False: they do not; None: as it is.
    "gpu_docker_live_restore": None,
    # True: dockerd reads CDI specifications though its version (25 to 28.1) does so only when told. That takes a restart of dockerd, which
    # waits until no container would be ended by it. None: as it is.
    "gpu_docker_cdi": None,
    # How containers get GPUs: "nvidia" (NVIDIA's repository), "aur" (Arch user repository), None (leave Docker alone).
    "gpu_container_runtime": "nvidia",
    # Refuse the host when it does not have exactly so many GPUs; None does not count them.
    "gpu_expected_gpus": None,
    # Names of checks whose refusal is accepted on this host, as the refusal prints them.
    "gpu_accept": [],
    # Mirrors by the name of the repository ("cuda", "docker", "nvidia-container-toolkit"): a base URL or, where the mirror signs anew, a
    # mapping with "url", "key" (a file on this machine) and, if you like, the key's "fingerprint".
    "gpu_mirrors": {},
    # A site without internet: the folder on the host, or its URL in your network, that `./provision bundle` has filled. Then no other source
    # is asked for packages; signatures are checked as ever.
    "gpu_bundle": None,
    # Arch only: recipes of the AUR as you have read them, {"nvidia-580xx-utils": {"commit": ..., "pkgbuild_sha256": ...}}.
    # Needed for GPUs that the official repositories no longer carry (Volta and older), and gpu_container_runtime = "aur".
    "gpu_aur": {},
    # Model services for deploys/inference_service.py, by name: {"llm": {"image": "registry.example/server:1.2", "ports": {8000: 8000}}}.
    # docs/services.md lists all their settings.
    "gpu_services": {},
    # Prometheus, Grafana and an exporter of the GPUs, for deploys/monitoring.py: {} for everything as it comes; None: no monitoring.
    # docs/services.md lists what can be set, and how a Compose directory of your own is checked and deployed instead.
    "gpu_monitoring": None,
    # The way out, where there is no direct one: a URL, or a mapping with "http", "https" and "no_proxy". Package managers and
    # builds have it during a run; Docker has it for good, in a file that only root can read. A login may be part of it.
    "gpu_proxy": None,
    # Shell commands, run on the host as root: move its work away before the driver changes or the host reboots, and call it back once the host is
    # proven. With them a busy host is drained instead of refused; it is left alone all the same if its GPUs are still in use after that.
    "gpu_drain": None,
    "gpu_undrain": None,
    # Seconds that each of them may take.
    "gpu_drain_timeout": 600,
    # Days after which a report says that the driver's packages are still held at their version: security fixes wait behind a hold.
    "gpu_hold_days": 90,
    # With --rolling: how many hosts may be down at once, and how many may fail before no other is begun. The first host goes alone.
    "gpu_max_unavailable": 1,
    "gpu_max_failed": 0,
    # Seconds until a host must have been connected to, and for all that is read of it at first; who needs longer is left out of the run.
    "gpu_connect_timeout": 30,
    "gpu_probe_timeout": 180,
    # "when-needed": reboot once when the running kernel or its modules must change. "never": only say so.
    "gpu_reboot": "when-needed",
    # "boot": a newer kernel that is installed and fit is a reason for a reboot, as a trial. "wait": only say so.
    "gpu_new_kernel": "boot",
    # Seconds that a host may take to come back.
    "gpu_reboot_timeout": 1200,
    # Seconds that one long step (packages, module builds) may take.
    "gpu_operation_timeout": 5400,
    # "when-proof-fails": a host that was proven before goes back to the packages of that proof when a new set fails it: a host that served
    # serves again. At most once per failed set, never while its GPUs are in use. "never": it stays as it is, for you to look at.
    "gpu_rollback": "when-proof-fails",
    # True: deploys/uninstall.py also removes model services and monitoring (never their data); None: it leaves them, and refuses where their engine would go.
    "gpu_uninstall_services": None,
    # Folder on this machine for the results as JSON; None writes none.
    "gpu_report_dir": "reports",
}

inference = (
    [
        "gpu-01.example",
        ("gpu-02.example", {"gpu_expected_gpus": 8, "ssh_user": "root"}),
        # Any other user needs sudo without a password.
        ("gpu-03.example", {"gpu_profile": "containers", "ssh_user": "admin", "_sudo": True}),
    ],
    _settings,
)
