# Shared by the apt scripts. Needs: LOCK_WAIT (seconds).
export LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
set -u

say() { printf '@@ %s\n' "$*"; }
# The reason of a refusal; its last lines reach the person who runs this.
refuse() { printf '@@ refused: %s\n' "$*"; exit 1; }

# Options of every call; local configuration files are kept, nobody is asked.
apt_options="-q -y -o DPkg::Lock::Timeout=$LOCK_WAIT -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
apt_options="$apt_options -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false -o Acquire::Retries=3"
# shellcheck disable=SC2086
apt() { apt-get $apt_options "$@" </dev/null; }

# apt-get update does not wait for the lists lock, and exits 0 on a bad signature while it has an older index:
# so wait here, and let any error be an error.
update_index() {
    waited=0
    while :; do
        apt -o APT::Update::Error-Mode=any update >"$1" 2>&1 && { cat "$1"; return 0; }
        rc=$?
        grep -q 'Could not get lock' "$1" && [ "$waited" -lt "$LOCK_WAIT" ] || { cat "$1"; return "$rc"; }
        waited=$((waited + 5)); sleep 5
    done
}

# Would the transaction remove what it must not, or move a package that keeps the host reachable and bootable?
simulate() {
    apt -s install "$@" >"$SCRATCH/simulation" 2>&1 || { cat "$SCRATCH/simulation"; refuse "the packages cannot be installed together"; }
    removals=$(awk '$1 == "Remv" { print $2 }' "$SCRATCH/simulation")
    removed=$(printf '%s\n' "$removals" | grep -Ev "$MAY_REMOVE|^$" | tr '\n' ' ')
    [ -z "$removed" ] || refuse "the transaction would remove: $removed"
    [ -z "$removals" ] || say "replaces packages of another series:" $removals
    moved=$(awk '$1 == "Inst" { print $2 }' "$SCRATCH/simulation" | grep -E "$MUST_STAY" | tr '\n' ' ')
    [ -z "$moved" ] || refuse "the transaction would change packages that keep the host reachable: $moved"
}

# Version that a package will have: from the simulation, else as installed.
coming_version() {
    coming=$(awk -v n="$1" '$1 == "Inst" && $2 == n { for (i = 3; i <= NF; i++) if ($i ~ /^\(/) { print substr($i, 2); exit } }' "$SCRATCH/simulation")
    [ -n "$coming" ] || coming=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" 2>/dev/null | sed -n 's/^.i //p')
    printf '%s' "$coming" | sed 's/^[0-9]*://; s/-.*//'
}

# A driver works only when kernel modules and libraries are of one version.
same_version() {
    [ -n "$MODULES" ] || return 0
    seen=
    for name in $MODULES $LIBRARIES; do
        version=$(coming_version "$name")
        case $seen in '' | *"=$version ") ;; *) refuse "modules and libraries would differ: $seen$name=$version" ;; esac
        [ -z "$version" ] || seen="$seen$name=$version "
    done
}

# What a transaction that lost its power left behind must not steer later builds.
OVERRIDE_MARK='# Written by gpu-host for one transaction'
drop_overrides() {
    for override in /etc/dkms/*.conf; do
        if [ -e "$override" ] && grep -qF "$OVERRIDE_MARK" "$override"; then rm -f "$override"; fi
    done
}
