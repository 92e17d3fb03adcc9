# Rehearses the whole transaction in an overlay over the root file system: sources, signatures, index, dependencies and the build
# of the kernel module. Whatever fails here leaves the host as it was. On success the packages are in apt's cache and the built
# modules wait in STATE_DIR, so that nothing is downloaded or compiled twice.
# Needs: PACKAGES MODULES LIBRARIES BUILD DKMS KERNELS STATE_DIR MAY_REMOVE MUST_STAY LOCK_WAIT, and write_files().
TRIAL=$STATE_DIR/trial
ROOT=$TRIAL/root
SCRATCH=$TRIAL/scratch

unmount_all() {
    # Deepest first; the mount table is the only truth about what is still there.
    awk -v t="$TRIAL" 'index($2, t "/") == 1 { print length($2), $2 }' /proc/mounts | sort -rn | while read -r _ target; do umount "$target" || umount -l "$target"; done
}
cleanup() { unmount_all; rm -rf --one-file-system "$TRIAL"; }
trap 'cleanup' EXIT
trap 'exit 143' TERM INT HUP

overlay() {
    # $1: directory to cover. An upper layer on disk costs no memory; where the kernel refuses it there, memory serves.
    name=$(printf '%s' "$1" | tr / _)
    mkdir -p "$TRIAL/layers/$name/upper" "$TRIAL/layers/$name/work" "$ROOT$1"
    mount -t overlay gpu-host-trial -o "lowerdir=$1,upperdir=$TRIAL/layers/$name/upper,workdir=$TRIAL/layers/$name/work" "$ROOT$1" 2>/dev/null && return 0
    mount -t tmpfs gpu-host-trial "$TRIAL/layers/$name" || return 1
    mkdir -p "$TRIAL/layers/$name/upper" "$TRIAL/layers/$name/work"
    mount -t overlay gpu-host-trial -o "lowerdir=$1,upperdir=$TRIAL/layers/$name/upper,workdir=$TRIAL/layers/$name/work" "$ROOT$1"
}

# Keeps the built modules under the names that the build gave them, so that the transaction need not compile them again.
keep_modules() {
    for kernel in $KERNELS; do
        built=$(find "$ROOT/var/lib/dkms/$DKMS/$1/$kernel" -type d -name module | head -n 1)
        [ -n "$built" ] || continue
        mkdir -p "$STATE_DIR/dkms/$DKMS-$1/$kernel"
        bash -c '. "$1" >/dev/null 2>&1; for i in "${!BUILT_MODULE_NAME[@]}"; do echo "${DEST_MODULE_NAME[$i]:-${BUILT_MODULE_NAME[$i]}} ${BUILT_MODULE_NAME[$i]}"; done' _ \
            "$ROOT/usr/src/$DKMS-$1/dkms.conf" | while read -r installed_as built_as; do
            target=$STATE_DIR/dkms/$DKMS-$1/$kernel/$built_as.ko
            if [ -e "$built/$installed_as.ko" ]; then cp "$built/$installed_as.ko" "$target"
            elif [ -e "$built/$installed_as.ko.xz" ]; then xz -dc "$built/$installed_as.ko.xz" >"$target"
            elif [ -e "$built/$installed_as.ko.zst" ]; then zstd -qdc "$built/$installed_as.ko.zst" >"$target"
            elif [ -e "$built/$installed_as.ko.gz" ]; then gzip -dc "$built/$installed_as.ko.gz" >"$target"
            fi
        done
    done
}

inside() { chroot "$ROOT" "$@"; }

cleanup
drop_overrides
rm -rf "$STATE_DIR/dkms"
mkdir -p "$ROOT" "$SCRATCH"
chmod 700 "$TRIAL"
say "rehearsal: an overlay over the root file system"
overlay / || refuse "no overlay can be mounted over / (kernel module overlay)"
for part in /usr /var /boot /opt /etc; do
    if mountpoint -q "$part"; then overlay "$part" || refuse "no overlay can be mounted over $part"; fi
done
mount --rbind /dev "$ROOT/dev" && mount --make-rslave "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mount --rbind /sys "$ROOT/sys" && mount --make-rslave "$ROOT/sys"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
# The downloads are worth keeping: they go to the host's own cache.
mkdir -p /var/cache/apt/archives/partial && mount --bind /var/cache/apt/archives "$ROOT/var/cache/apt/archives"
resolver=$(readlink -f /etc/resolv.conf 2>/dev/null || true)
[ -z "$resolver" ] || [ "$resolver" = /etc/resolv.conf ] || { mkdir -p "$ROOT$(dirname "$resolver")" && cp "$resolver" "$ROOT$resolver"; }
printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d" && chmod 755 "$ROOT/usr/sbin/policy-rc.d"
# No boot image is built in a rehearsal.
rm -f "$ROOT/usr/sbin/update-initramfs" && printf '#!/bin/sh\nexit 0\n' >"$ROOT/usr/sbin/update-initramfs" && chmod 755 "$ROOT/usr/sbin/update-initramfs"

say "rehearsal: sources and signatures"
write_files "$ROOT"
apt() { inside apt-get -q -y -o DPkg::Lock::Timeout="$LOCK_WAIT" -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false -o Acquire::Retries=3 "$@" </dev/null; }
update_index "$SCRATCH/update" || refuse "the package index cannot be refreshed with these sources"
say "rehearsal: dependencies"
# shellcheck disable=SC2086
simulate $PACKAGES
same_version

if [ -n "$MODULES" ]; then
    say "rehearsal: trial build of $MODULES"
    # shellcheck disable=SC2086
    if ! apt install $BUILD $MODULES; then
        find "$ROOT/var/lib/dkms" -name make.log -newer "$SCRATCH/update" -exec sh -c 'grep -E "error|Error|No rule|fatal" "$1" | head -15' _ {} \;
        refuse "the kernel module does not compile on this host"
    fi
    version=$(inside dkms status "$DKMS" | sed -n 's|^[^/,]*[/,] *\([^,:]*\)[,:].*|\1|p' | head -n 1)
    for kernel in $KERNELS; do
        inside dkms status -m "$DKMS" -v "$version" -k "$kernel" | grep -Eq 'installed|built' || refuse "no kernel module was built for $kernel"
    done
    say "rehearsal: $DKMS $version built for $KERNELS"
    keep_modules "$version"
fi
say "rehearsal: download"
# shellcheck disable=SC2086
apt --download-only install $PACKAGES || refuse "the packages cannot be downloaded"
say "rehearsal: passed"
