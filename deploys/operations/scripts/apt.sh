# apt, 2.4 and newer. Needs: LOCK_WAIT (seconds), PINS, HOLDS, BUNDLE.
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none

# Options of every call; local configuration files are kept, nobody is asked.
apt_options="-q -y -o DPkg::Lock::Timeout=$LOCK_WAIT -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
apt_options="$apt_options -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false -o Acquire::Retries=3"
# A set of one driver goes back as well as forth; our own holds are ours to move.
apt_options="$apt_options --allow-downgrades --allow-change-held-packages"
# Kept packages lie in a folder that only root may enter.
[ -z "${TARGET-}" ] || apt_options="$apt_options -o APT::Sandbox::User=root"
# shellcheck disable=SC2086
apt() { inside apt-get $apt_options "$@" </dev/null; }

# With a bundle nothing else is asked: neither the host's own sources nor its index of them, which stay as they are. What was
# collected once is older than what a signed index calls valid; its signature counts all the same.
if [ -n "$BUNDLE" ]; then
    apt_options="$apt_options -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$STATE_DIR/bundle -o Dir::State::Lists=$STATE_DIR/bundle/lists"
    apt_options="$apt_options -o Acquire::Check-Valid-Until=false -o Acquire::By-Hash=no -o Acquire::Languages=none"
fi

# apt-get update does not wait for the lists lock, and exits 0 on a bad signature while it has an older index:
# so wait here, and let any error be an error.
m_refresh() {
    [ -z "$BUNDLE" ] || inside mkdir -p "$STATE_DIR/bundle/lists/partial" || return 1
    waited=0
    while :; do
        apt -o APT::Update::Error-Mode=any update >"$1" 2>&1 && return 0
        rc=$?
        grep -q 'Could not get lock' "$1" && [ "$waited" -lt "$LOCK_WAIT" ] || return "$rc"
        waited=$((waited + 5)); sleep 5
    done
}

# The packages that steer the choice of all others are there before these are asked for.
m_prepare() {
    # shellcheck disable=SC2086
    [ -z "$PINS" ] || apt install $PINS || refuse "the packages that pin the driver's branch cannot be installed: $PINS"
}

# What we held of a driver that another set takes the place of: apt lets nothing held leave unless it is told so by name.
leaving() {
    [ -n "$MODULES" ] || return 0
    ledger | while read -r name _; do
        case " $HOLDS " in *" $name "*) continue ;; esac
        [ -z "$(m_version "$name")" ] || printf '%s- ' "$name"
    done
}
m_foreign() { inside apt-mark showhold | grep -vxF -e "$(ledger | cut -d ' ' -f 1)"; }
# apt is told to look past holds, because of ours; those of others bind it all the same.
# shellcheck disable=SC2046
m_simulate() {
    said=$1; shift
    apt -s install "$@" $(leaving) >"$said" 2>&1
    rc=$?
    held=$(m_foreign)
    if [ "$rc" = 0 ]; then held=$(m_changes "$said" | cut -d ' ' -f 2 | grep -xF -e "$held" | grep .); fi
    [ -z "$held" ] || { printf 'held by others, and not ours to move (see: apt-mark showhold): %s\n' "$(echo "$held" | tr '\n' ' ')" >>"$said"; return 1; }
    return "$rc"
}
# Inst NAME [OLD] (NEW ORIGIN [ARCH]); Remv NAME [OLD]
m_changes() {
    awk '$1 == "Remv" { print "remove", $2, substr($3, 2, length($3) - 2) }
        $1 == "Inst" { kind = $3 ~ /^\[/ ? "upgrade" : "install"
            for (i = 3; i <= NF; i++) if ($i ~ /^\(/) { print kind, $2, substr($i, 2); break } }' "$1"
}
# shellcheck disable=SC2016 # dpkg-query's own fields
m_version() { inside dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" 2>/dev/null | sed -n 's/^.i //p'; }
# shellcheck disable=SC2016
m_names() { inside dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^.i //p'; }
# shellcheck disable=SC2046
m_download() { apt --download-only install "$@" $(leaving); }
# shellcheck disable=SC2046
m_install() { apt install "$@" $(leaving); }
# apt calls its files NAME_VERSION_ARCHITECTURE.deb, with the colon of an epoch in writing.
archive() { find "$1" -maxdepth 1 -name "${2}_$(printf '%s' "$3" | sed 's/:/%3a/')_*.deb" 2>/dev/null | head -n 1; }
# What lies in a bundle on the host is used where it is.
m_archive() {
    found=$(archive /var/cache/apt/archives "$@")
    [ -n "$found" ] || [ -z "$BUNDLE_FOLDER" ] || found=$(find "$BUNDLE_FOLDER" -name "${1}_$(printf '%s' "$2" | sed 's/:/%3a/; s/^[0-9]*%3a//')_*.deb" | head -n 1)
    [ -z "$found" ] || printf '%s\n' "$found"
}
m_kept() { archive "$KEPT" "$@"; }
# Packages have no signature of their own; apt has compared this one with a signed index before it was kept, and only root may enter that folder.
m_trusted() { dpkg-deb --fsys-tarfile "$1" >/dev/null 2>&1; }
# Everything is here: no source is asked, so that none that does not answer is waited for.
m_alone() { apt_options="$apt_options -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null"; }
m_exact() { printf '%s=%s\n' "$@"; }
m_cache() { mkdir -p /var/cache/apt/archives/partial; echo /var/cache/apt/archives; }
m_quiet() {
    inside /bin/sh -c 'rm -f /usr/sbin/policy-rc.d /usr/sbin/update-initramfs
        printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
        printf "#!/bin/sh\nexit 0\n" >/usr/sbin/update-initramfs
        chmod 755 /usr/sbin/policy-rc.d /usr/sbin/update-initramfs'
}

# Packages ask for a new boot image again and again in one transaction; it is built once, at the end.
m_transaction() {
    mkdir -p "$SCRATCH/bin"
    printf '#!/bin/sh\n: >%s/image-wanted\n' "$SCRATCH" >"$SCRATCH/bin/update-initramfs" && chmod 755 "$SCRATCH/bin/update-initramfs"
    apt -o DPkg::Path="$SCRATCH/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" install "$@" $(leaving) || return 1
    [ -e "$SCRATCH/image-wanted" ] || return 0
    say "transaction: boot image"
    update-initramfs -u || refuse "the boot image could not be built"
}

# dpkg knows what it was in the middle of. A package whose files were being unpacked ("R") is to be unpacked once more.
# shellcheck disable=SC2016,SC2086 # dpkg-query's own fields
m_repair() {
    inside dpkg --force-confdef --force-confold --configure -a </dev/null
    again=$(inside dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n' | awk '$1 ~ /R$/ { print $2 ($3 == "" ? "" : "=" $3) }')
    apt -s --fix-broken --reinstall install $again >"$SCRATCH/simulation" 2>&1 || { cat "$SCRATCH/simulation"; return 1; }
    m_changes "$SCRATCH/simulation" >"$SCRATCH/changes"
    allow
    apt --fix-broken --reinstall install $again || return 1
    # The boot image is the last thing that a transaction makes.
    [ ! -e "$NOTES/image-wanted" ] || inside update-initramfs -u
}

# apt's holds have no owner: those in the ledger are ours.
m_hold() {
    keep= free=
    for name in $(ledger | cut -d ' ' -f 1); do
        [ -n "$(m_version "$name")" ] || continue
        case " $HOLDS " in *" $name "*) keep="$keep $name" ;; *) free="$free $name" ;; esac
    done
    # shellcheck disable=SC2086
    { [ -z "$free" ] || apt-mark unhold $free >/dev/null; } && { [ -z "$keep" ] || apt-mark hold $keep >/dev/null; }
}
# apt moves what it is told to move, held or not.
m_release() { :; }

# apt knows what came only because something needed it. What is merely recommended was not there before us either.
alone="-o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false"
m_removable() {
    # shellcheck disable=SC2086
    apt -s $alone --auto-remove remove $WANTED >"$1.said" 2>&1 || { mv "$1.said" "$1"; return 1; }
    awk -v ours=" $WANTED $NEEDED " '$1 == "Remv" && index(ours, " " $2 " ") { print $2 }' "$1.said" >"$1"
}
m_simulate_removal() { said=$1; shift; apt -s remove "$@" >"$said" 2>&1; }
# Boot images are built once, when all else is done. What has configuration but no data of its own leaves with it.
m_remove() {
    mkdir -p "$SCRATCH/bin" && printf '#!/bin/sh\nexit 0\n' >"$SCRATCH/bin/update-initramfs" && chmod 755 "$SCRATCH/bin/update-initramfs"
    path=$SCRATCH/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    apt -o DPkg::Path="$path" remove "$@" || return 1
    # shellcheck disable=SC2016
    rests=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^rc //p' | grep -xF -f "$SCRATCH/names" | grep -Ev "$DATA")
    # shellcheck disable=SC2086
    [ -z "$rests" ] || PATH=$path dpkg --purge $rests
}
