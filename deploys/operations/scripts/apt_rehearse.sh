# Rehearses the whole transaction in an overlay over the root file system: sources, signatures, index, dependencies and the build
# of the kernel module. Whatever fails here leaves the host as it was. On success the packages are in apt's cache and the built
# modules wait in STATE_DIR, so that nothing is downloaded or compiled twice.
# Needs: PACKAGES MODULES LIBRARIES BUILD DKMS KERNELS STATE_DIR MAY_REMOVE MUST_STAY LOCK_WAIT, and write_files().
TRIAL=$STATE_DIR/trial
ROOT=$TRIAL/root
SCRATCH=$TRIAL/scratch

unmount_all() {
    # Deepest first; the mount table is the only truth about what is still there.
    awk -v t="$TRIAL" 'index($2, t "/") == 1 { print length($2), $2 }' /proc/mounts | sort -rn | while read -r _ target; do umount "$target" 2>/dev/null || umount -l "$target"; done
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
        for copy in "$STATE_DIR/dkms/$DKMS-$1/$kernel"/*.ko; do
            [ -n "$(modinfo -F vermagic "$copy" 2>/dev/null)" ] || { rm -rf "$STATE_DIR/dkms"; return 0; }
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
# What is a mount of its own is not in the overlay over /. Container storage is none of the rehearsal's business.
awk '$2 ~ "^/(usr|var|boot|opt|etc|srv|lib)(/|$)" { print $2 }' /proc/self/mounts | grep -Ev '^/var/lib/(docker|containers?|containerd|lxcfs|kubelet|gpu-host)(/|$)' | sort -u >"$SCRATCH/mounts"
while read -r part; do
    [ -d "$part" ] || continue
    overlay "$part" || refuse "no overlay can be mounted over $part"
done <"$SCRATCH/mounts"
attach() { mount "$@" || refuse "cannot be mounted for the rehearsal: $*"; }
attach --rbind /dev "$ROOT/dev" && mount --make-rslave "$ROOT/dev"
attach -t proc proc "$ROOT/proc"
attach --rbind /sys "$ROOT/sys" && mount --make-rslave "$ROOT/sys"
attach -t tmpfs -o mode=755 tmpfs "$ROOT/run"
# The downloads are worth keeping: they go to the host's own cache.
mkdir -p /var/cache/apt/archives/partial "$ROOT/var/cache/apt/archives" && attach --bind /var/cache/apt/archives "$ROOT/var/cache/apt/archives"
resolver=$(readlink -f /etc/resolv.conf 2>/dev/null || true)
case $resolver in /run/*) mkdir -p "$ROOT$(dirname "$resolver")" && cp "$resolver" "$ROOT$resolver" ;; esac
# Written inside, so that a link on the host cannot lead outside: no service starts, no boot image is built.
inside /bin/sh -c 'rm -f /usr/sbin/policy-rc.d /usr/sbin/update-initramfs
    printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
    printf "#!/bin/sh\nexit 0\n" >/usr/sbin/update-initramfs
    chmod 755 /usr/sbin/policy-rc.d /usr/sbin/update-initramfs' || refuse "the overlay cannot be written to"

say "rehearsal: sources and signatures"
write_files "$ROOT"
# shellcheck disable=SC2086
apt() { inside apt-get $apt_options "$@" </dev/null; }
update_index "$SCRATCH/update" || refuse "the package index cannot be refreshed with these sources"
say "rehearsal: dependencies"
# shellcheck disable=SC2086
simulate $PACKAGES
same_version

if [ -n "$MODULES" ]; then
    say "rehearsal: trial build of $MODULES"
    # shellcheck disable=SC2086
    apt --download-only install $BUILD $MODULES || refuse "the packages of the kernel module cannot be downloaded"
    # shellcheck disable=SC2086
    if ! apt install $BUILD $MODULES; then
        log=$(find "$ROOT/var/lib/dkms" -name make.log -newer "$SCRATCH/update" | head -n 1)
        [ -n "$log" ] || refuse "the packages of the kernel module cannot be installed"
        grep -E 'error|Error|No rule|fatal' "$log" | head -n 15
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
