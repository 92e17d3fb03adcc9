# Rehearses the whole transaction in an overlay over the root file system: sources, signatures, index, dependencies and the build
# of the kernel module. Whatever fails here leaves the host as it was. On success the packages are in the manager's cache and the
# built modules wait in STATE_DIR, so that nothing is downloaded or compiled twice.
# Needs: PACKAGES MODULES SET SAME_VERSION BUILD KERNELS STATE_DIR MAY_REMOVE MUST_STAY LOCK_WAIT, write_files() and write_bundle().
TRIAL=$STATE_DIR/trial
ROOT=$TRIAL/root
SCRATCH=$TRIAL/scratch

unmount_all() {
    # Deepest first; the mount table is the only truth about what is still there.
    awk -v t="$TRIAL" 'index($2, t "/") == 1 { print length($2), $2 }' /proc/mounts | sort -rn | while read -r _ target; do umount "$target" 2>/dev/null || umount -l "$target"; done
}
# What was built is worth keeping only when all of it passed.
passed=
cleanup() { unmount_all; rm -rf --one-file-system "$TRIAL"; [ -n "$passed" ] || rm -rf "$STATE_DIR/dkms" "$STATE_DIR/aur"; }
trap 'cleanup' EXIT
trap 'exit 143' TERM INT HUP

cover() {
    # $1: directory to cover, $2: its layers, $3: options. Nothing is read from the upper layer afterwards but what is copied out of it.
    mkdir -p "$2/upper" "$2/work"
    mount -t overlay gpu-host-trial -o "${3}lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$ROOT$1"
}

overlay() {
    # $1: directory to cover. An upper layer on disk costs no memory, and as nothing of it stays, nothing need be waited for until it
    # has reached the disk (volatile: Linux 5.10). Where the kernel refuses it there, memory serves.
    layers=$TRIAL/layers/$(printf '%s' "$1" | tr / _)
    mkdir -p "$ROOT$1"
    { cover "$1" "$layers" volatile, || cover "$1" "$layers" ''; } 2>/dev/null && return 0
    mount -t tmpfs gpu-host-trial "$layers" && cover "$1" "$layers" ''
}

# What the kernel lets no overlay cover, as the vfat of an EFI system partition: nothing in the rehearsal may write there.
read_only() { mount --bind "$1" "$ROOT$1" && mount -o remount,bind,ro "$ROOT$1"; }

# The module that DKMS has just built: its name and version, for every kernel or not at all.
built_modules() {
    for folder in "$ROOT"/var/lib/dkms/nvidia*/*/; do
        [ -n "$(find "$folder" -maxdepth 0 -newer "$SCRATCH/update")" ] || continue
        DKMS_VERSION=$(basename "$folder") DKMS=$(basename "$(dirname "$folder")") missing=
        for kernel in $KERNELS; do
            inside dkms status -m "$DKMS" -v "$DKMS_VERSION" -k "$kernel" | grep -Eq 'installed|built' || missing="$missing $kernel"
        done
        [ -n "$missing" ] || return 0
    done
    return 1
}

# What the compiler said; fails when no build was tried.
show_compiler_errors() {
    log=$(find "$ROOT/var/lib/dkms" -name make.log -newer "$SCRATCH/update" | head -n 1)
    [ -n "$log" ] && { grep -E 'error|Error|No rule|fatal' "$log" | head -n 15; true; }
}

# Keeps the built modules under the names that the build gave them, so that the transaction need not compile them again.
keep_modules() {
    for kernel in $KERNELS; do
        built=$(find "$ROOT/var/lib/dkms/$DKMS/$DKMS_VERSION/$kernel" -type d -name module | head -n 1)
        [ -n "$built" ] || continue
        kept=$STATE_DIR/dkms/$DKMS-$DKMS_VERSION/$kernel
        mkdir -p "$kept"
        bash -c '. "$1" >/dev/null 2>&1; for i in "${!BUILT_MODULE_NAME[@]}"; do echo "${DEST_MODULE_NAME[$i]:-${BUILT_MODULE_NAME[$i]}} ${BUILT_MODULE_NAME[$i]}"; done' _ \
            "$ROOT/usr/src/$DKMS-$DKMS_VERSION/dkms.conf" | while read -r installed_as built_as; do
            target=$kept/$built_as.ko
            # Unpacked inside: the host may lack the program, DKMS has brought it along.
            for file in "$built/$installed_as".ko*; do
                case $file in
                *.xz) inside xz -dc "${file#"$ROOT"}" ;;
                *.zst) inside zstd -qdc "${file#"$ROOT"}" ;;
                *.gz) inside gzip -dc "${file#"$ROOT"}" ;;
                *) cat "$file" ;;
                esac >"$target"
            done
        done
        # A damaged copy would be installed as it is; without any copy the transaction compiles.
        for copy in "$kept"/*.ko; do
            [ -n "$(modinfo -F vermagic "$copy" 2>/dev/null)" ] || { rm -rf "$STATE_DIR/dkms"; return 0; }
        done
    done
}

inside() { chroot "$ROOT" "$@"; }

cleanup
drop_overrides
mkdir -p "$ROOT" "$SCRATCH"
chmod 700 "$TRIAL"
say "rehearsal: an overlay over the root file system"
overlay / || refuse "no overlay can be mounted over / (kernel module overlay)"
# What is a mount of its own is not in the overlay over /. Container storage is none of the rehearsal's business.
awk '$2 ~ "^/(usr|var|boot|opt|etc|srv|lib)(/|$)" { print $2 }' /proc/self/mounts | grep -Ev '^/var/lib/(docker|containers?|containerd|lxcfs|kubelet|gpu-host)(/|$)' | sort -u >"$SCRATCH/mounts"
while read -r part; do
    [ -d "$part" ] || continue
    overlay "$part" || read_only "$part" || refuse "no overlay can be mounted over $part"
done <"$SCRATCH/mounts"
attach() { mount "$@" || refuse "cannot be mounted for the rehearsal: $*"; }
attach --rbind /dev "$ROOT/dev" && mount --make-rslave "$ROOT/dev"
attach -t proc proc "$ROOT/proc"
attach --rbind /sys "$ROOT/sys" && mount --make-rslave "$ROOT/sys"
attach -t tmpfs -o mode=755 tmpfs "$ROOT/run"
# The downloads are worth keeping: they go to the host's own cache.
for folder in $(m_cache); do
    mkdir -p "$folder" "$ROOT$folder" && attach --bind "$folder" "$ROOT$folder"
done
# A bundle may lie on a mount of its own, such as a disk that was carried here.
if [ -n "$BUNDLE_FOLDER" ]; then
    [ -d "$BUNDLE_FOLDER" ] || refuse "there is no bundle in $BUNDLE_FOLDER; copy it there, or correct gpu_bundle"
    mkdir -p "$ROOT$BUNDLE_FOLDER" && read_only "$BUNDLE_FOLDER" || refuse "the bundle cannot be mounted for the rehearsal"
fi
resolver=$(readlink -f /etc/resolv.conf 2>/dev/null || true)
case $resolver in /run/*) mkdir -p "$ROOT$(dirname "$resolver")" && cp "$resolver" "$ROOT$resolver" ;; esac
# Written inside, so that a link on the host cannot lead outside.
m_quiet || refuse "the overlay cannot be written to"

say "rehearsal: sources and signatures"
write_files "$ROOT"
write_bundle "$ROOT"
m_refresh "$SCRATCH/update" || { cat "$SCRATCH/update"; refuse "the package index cannot be refreshed with these sources"; }
m_release
take_up
m_prepare
say "rehearsal: dependencies"
# shellcheck disable=SC2086
simulate $PACKAGES
same_version
together
given_up

if [ -n "$MODULES" ]; then
    say "rehearsal: trial build of $MODULES"
    # shellcheck disable=SC2086
    m_download $BUILD $MODULES $SET || refuse "the packages of the kernel module cannot be downloaded"
    # shellcheck disable=SC2086
    if ! m_install $BUILD $MODULES $SET; then
        show_compiler_errors && refuse "the kernel module does not compile on this host"
        refuse "the packages of the kernel module cannot be installed"
    fi
    built_modules || { show_compiler_errors; refuse "no kernel module was built for $KERNELS"; }
    say "rehearsal: $DKMS $DKMS_VERSION built for $KERNELS"
    keep_modules
fi
say "rehearsal: download"
# shellcheck disable=SC2086
[ -z "$PACKAGES" ] || m_download $PACKAGES || refuse "the packages cannot be downloaded"
passed=1
say "rehearsal: passed"
