# Installs all missing packages in one transaction. The rehearsal has downloaded them and built the kernel module.
# Needs: PACKAGES MODULES LIBRARIES DKMS STATE_DIR MAY_REMOVE MUST_STAY LOCK_WAIT.
SCRATCH=$STATE_DIR/transaction
mkdir -p "$SCRATCH"
placed=
cleanup() {
    # shellcheck disable=SC2086
    [ -z "$placed" ] || rm -f $placed
    rm -rf "$SCRATCH" "$STATE_DIR/dkms"
}
trap 'cleanup' EXIT
trap 'exit 143' TERM INT HUP

drop_overrides
say "transaction: index"
update_index "$SCRATCH/update" || refuse "the package index cannot be refreshed"
# shellcheck disable=SC2086
simulate $PACKAGES
same_version
# dkms reads overrides per module, version and kernel: for as long as this transaction lasts, "make" is to fetch what the
# rehearsal has compiled. dkms signs and installs it as ever; later kernels are compiled as ever.
for kept in "$STATE_DIR"/dkms/*/*; do
    [ -n "$MODULES" ] && [ -e "$kept/nvidia.ko" ] || continue
    override=/etc/dkms/$(basename "$(dirname "$kept")")-$(basename "$kept").conf
    [ ! -e "$override" ] || continue
    mkdir -p /etc/dkms
    printf '%s\nMAKE[0]="cp %s/*.ko . || { ${MAKE[0]:-false}; }"\n' "$OVERRIDE_MARK" "$kept" >"$override"
    placed="$placed $override"
done
say "transaction: install"
# Packages ask for a new boot image again and again in one transaction; it is built once, at the end.
mkdir -p "$SCRATCH/bin"
printf '#!/bin/sh\n: >%s/image-wanted\n' "$SCRATCH" >"$SCRATCH/bin/update-initramfs" && chmod 755 "$SCRATCH/bin/update-initramfs"
# shellcheck disable=SC2086
apt -o DPkg::Path="$SCRATCH/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" install $PACKAGES || refuse "apt could not install the packages"
if [ -e "$SCRATCH/image-wanted" ]; then
    say "transaction: boot image"
    update-initramfs -u || refuse "the boot image could not be built"
fi
if [ -n "$MODULES" ]; then
    for kernel in $KERNELS; do
        module=$(find "/lib/modules/$kernel" -name "$DKMS.ko*" | head -n 1)
        [ -n "$module" ] && [ -n "$(modinfo -F vermagic "$module" 2>/dev/null)" ] || refuse "no usable kernel module $DKMS for $kernel"
    done
fi
say "transaction: done"
