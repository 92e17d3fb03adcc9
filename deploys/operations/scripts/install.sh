# Installs all missing packages in one transaction. The rehearsal has downloaded them and built the kernel module.
# Needs: PACKAGES WANTED MODULES SAME_VERSION KERNELS STATE_DIR MAY_REMOVE MUST_STAY LOCK_WAIT, and write_bundle().
SCRATCH=$NOTES
mkdir -p "$SCRATCH"
cat "$NOTES/changes" >>"$NOTES/begun" 2>/dev/null
placed= undone=$cut_off
# The notes go last, and only when all of it was done: as long as they are there, the next run takes the transaction up.
cleanup() {
    settle_installed
    # shellcheck disable=SC2086
    [ -z "$placed" ] || rm -f $placed
    rm -rf "$STATE_DIR/dkms" "$STATE_DIR/bundle"
    [ -n "$undone" ] || rm -rf "$SCRATCH"
}
trap 'cleanup' EXIT
trap 'exit 143' TERM INT HUP

drop_overrides
settle_installed
write_bundle /
m_note
say "transaction: index"
m_refresh "$SCRATCH/update" || { cat "$SCRATCH/update"; refuse "the package index cannot be refreshed"; }
m_release
: >"$SCRATCH/changes"
note_coming
# dkms reads overrides per module, version and kernel: for as long as this transaction lasts, "make" is to fetch what the
# rehearsal has compiled. dkms signs and installs it as ever; later kernels are compiled as ever.
for kept in "$STATE_DIR"/dkms/*/*; do
    [ -n "$MODULES" ] && [ -e "$kept/nvidia.ko" ] || continue
    override=/etc/dkms/$(basename "$(dirname "$kept")")-$(basename "$kept").conf
    [ ! -e "$override" ] || continue
    mkdir -p /etc/dkms
    printf '%s\nMAKE[0]="cp %s/*.ko . || { ${MAKE[0]:-false}; }"\n' "$OVERRIDE_MARK" "$kept" >"$SCRATCH/override"
    placed="$placed $override"
    put "$SCRATCH/override" "$override"
done
take_up
m_prepare
# shellcheck disable=SC2086
simulate $PACKAGES
same_version
together
note_coming
keep_packages
say "transaction: install"
undone=1
# shellcheck disable=SC2086
[ -z "$PACKAGES" ] || m_transaction $PACKAGES || refuse "the packages could not be installed"
hold || refuse "the driver's packages could not be held at their versions"
m_came
if [ -n "$MODULES" ]; then
    want=$(coming_version "${SAME_VERSION%% *}")
    for kernel in $KERNELS; do
        module=
        for file in $(find "/lib/modules/$kernel" -name 'nvidia.ko*' -o -name 'nvidia-current*.ko*' | grep -v -e -uvm -e -drm -e -modeset -e -peermem); do
            [ "$(modinfo -F version "$file" 2>/dev/null)" = "$want" ] && module=$file
        done
        [ -n "$module" ] || refuse "no usable kernel module $want for $kernel"
    done
fi
undone=
say "transaction: done"
