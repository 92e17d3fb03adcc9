# What dnf and zypper share: their locks, rpm's database, boot images by dracut. Needs: LOCK_WAIT (seconds). The manager's own file
# sets PID_FILES (patterns of files in which it notes who works) and defines transact SPEC.

# Is a process of that id alive and, where a file is given, does it hold the file open? Then its name, id and the file.
holds() {
    [ -d "/proc/$1" ] || return 1
    [ -z "${3-}" ] || readlink "/proc/$1"/fd/* 2>/dev/null | grep -qxF "$2" || return 1
    name=$(cat "/proc/$1/comm")
    # libzypp names its threads after itself.
    case $name in Zypp-*) name=$(tr '\0' '\n' <"/proc/$1/cmdline" | head -n 1) ;; esac
    printf '%s (pid %s) holds %s\n' "${name##*/}" "$1" "$2"
}
# Who works with packages now; fails when nobody does. Some write their id into a file; the kernel knows who locks the others.
lock_holder() {
    for file in $PID_FILES; do
        if [ -s "$file" ] && holds "$(tr -cd 0-9 <"$file")" "$file"; then return 0; fi
    done
    for file in /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock /var/lib/dnf/*.lock /run/dnf/*.lock; do
        [ -e "$file" ] || continue
        for pid in $(awk -v end=":$(stat -c %i "$file")\$" '$2 != "->" && $4 == "WRITE" && $6 ~ end { print $5 }' /proc/locks); do
            if holds "$pid" "$(readlink -f "$file")" open; then return 0; fi
        done
    done
    return 1
}
waited=0
wait_for_lock() {
    while holder=$(lock_holder); do
        [ "$waited" -lt "$LOCK_WAIT" ] || refuse "after $waited s $holder; wait for it or end it, then run again"
        [ "$waited" -gt 0 ] || say "waiting: $holder"
        waited=$((waited + 2)); sleep 2
    done
}

# hide FILE OVER: on the host a manager runs in a mount namespace of its own, where FILE lies over another one (our own locks, the
# builder of boot images): nothing has to be put back, whenever the power fails.
binds=
hide() { binds="$binds $1 $2"; }
manage() {
    if [ -n "${ROOT-}" ]; then
        inside env SYSTEMD_OFFLINE=1 "$@" </dev/null
    else
        # shellcheck disable=SC2016,SC2086
        unshare --mount /bin/sh -c 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"' sh $binds -- "$@" </dev/null
    fi
}

m_version() { if inside rpm -q --quiet "$1" 2>/dev/null; then inside rpm -q --qf '%{EPOCH}:%{VERSION}-%{RELEASE}\n' "$1" | tail -n 1 | sed 's/^(none)://'; fi; }
m_names() { inside rpm -qa --qf '%{NAME}\n'; }
# rpm does not know what it was in the middle of: a package counts as installed before its scriptlet has run, and the one that it
# replaces as well. Of a driver the newest stays; kernels and what is built against them live side by side.
m_repair() {
    again=
    for name in "$@"; do
        case $name in kernel*) continue ;; esac
        if printf '%s\n' "$name" | grep -Eq "$MAY_REMOVE"; then
            for old in $(inside rpm -q --qf '%{ARCH} %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n' "$name" | sort -V | awk '$1 in last { print last[$1] } { last[$1] = $2 }'); do
                say "leaves: $old"
                inside rpm --erase --nodeps --noscripts --notriggers "$old" || return 1
            done
        fi
        [ -z "$(m_version "$name")" ] || again="$again $name"
    done
    # shellcheck disable=SC2086
    [ -z "$again" ] || reinstall $again || say "could not be installed once more: $again"
}

# archive NAME VERSION FOLDER: the file of that package. What it says of itself counts: its name has no epoch.
archive() {
    find "$3" -type f -name "$1-${2#*:}.*.rpm" 2>/dev/null | while read -r file; do
        [ "$(rpm -qp --qf '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE}' "$file" 2>/dev/null | sed 's/ (none):/ /; s/ 0:/ /')" != "$1 ${2#0:}" ] || { printf '%s\n' "$file"; break; }
    done
}
# What lies in a bundle on the host is used where it is.
m_archive() {
    found=$(archive "$1" "$2" "$CACHE")
    [ -n "$found" ] || [ -z "${BUNDLE_FOLDER-}" ] || found=$(archive "$1" "$2" "${BUNDLE_FOLDER-}")
    [ -z "$found" ] || printf '%s\n' "$found"
}
m_kept() { archive "$1" "$2" "$KEPT"; }
# A file on disk is no repository's word: whole, and signed by a key that rpm trusts, or it is not used.
m_trusted() { rpmkeys --define '_pkgverify_level signature' --checksig "$1" >/dev/null 2>&1; }
# kept_or NAME SPEC: the kept file of the installed version, else SPEC.
kept_or() {
    file=$(m_kept "$1" "$(m_version "$1")")
    if [ -n "$file" ] && m_trusted "$file"; then printf '%s\n' "$file"; else printf '%s\n' "$2"; fi
}
stub() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1"; }
m_quiet() {
    inside /bin/sh -c 'for name in dracut mkinitrd grubby kernel-install update-bootloader udevadm; do
        program=$(command -v "$name") || continue
        rm -f "$program"
        printf "#!/bin/sh\nexit 0\n" >"$program" && chmod 755 "$program" || exit 1
    done'
}

# Packages ask for new boot images again and again in one transaction; they are built once, at the end.
m_transaction() {
    dracut=$(command -v dracut) && dracut=$(readlink -f "$dracut") && [ -n "$dracut" ] && {
        stub "$SCRATCH/dracut" "case \" \$* \" in *' --version '*|*' --help '*|*' --list-modules '*) exit 0 ;; esac; : >$SCRATCH/image-wanted"
        hide "$SCRATCH/dracut" "$dracut"
    }
    transact "$@" || return 1
    [ -e "$SCRATCH/image-wanted" ] || return 0
    say "transaction: boot images"
    "$dracut" --force --regenerate-all || refuse "the boot images could not be built"
}

# rpm alone knows what needs what. A package that came because another one needed it stays where somebody else needs it by now; what is needed
# of those that were asked for is found by the solver, and refused by name.
m_removable() {
    names="$WANTED $NEEDED"
    while [ -n "${names%% }" ]; do
        # shellcheck disable=SC2086
        rpm -e --test --allmatches $names >"$1.said" 2>&1 && break
        sed -n 's/^[ \t]*\(.*\) is needed by (installed) .*/\1/p' "$1.said" | while read -r what _; do rpm -q --qf '%{NAME}\n' --whatprovides "$what"; done | sort -u >"$1.others"
        before=$names names=
        for name in $before; do
            case " $NEEDED " in *" $name "*) if grep -qxF "$name" "$1.others"; then continue; fi ;; esac
            names="$names $name"
        done
        [ "${names# }" != "${before# }" ] || break
    done
    # shellcheck disable=SC2086
    if [ -n "${names%% }" ]; then printf '%s\n' $names; fi >"$1"
}
m_remove() {
    dracut=$(command -v dracut) && dracut=$(readlink -f "$dracut") && [ -n "$dracut" ] && {
        stub "$SCRATCH/dracut" "exit 0"
        hide "$SCRATCH/dracut" "$dracut"
    }
    remove_all "$@"
}

# rpm keeps keys of its own. Ours are those in files of ours, and of these only what nobody else had brought before.
our_keys() {
    for file in /etc/pki/rpm-gpg/gpu-host-*.asc "$STATE_DIR"/bundle/*.asc; do [ ! -e "$file" ] || rpmkeys --dbpath "$SCRATCH/keyring" --import "$file"; done
    rpm --dbpath "$SCRATCH/keyring" -qa 'gpg-pubkey*'
}
m_note() {
    our_keys 2>/dev/null | while read -r key; do
        rpm -q --quiet "$key" 2>/dev/null || grep -qxF "$key" "$STATE_DIR/keys" 2>/dev/null || printf '%s\n' "$key"
    done >"$SCRATCH/new-keys"
    [ ! -s "$SCRATCH/new-keys" ] || cat "$SCRATCH/new-keys" >>"$STATE_DIR/keys"
}
m_forget() {
    keys=$(cat "$STATE_DIR/keys" 2>/dev/null)
    for key in $keys; do
        rpm -q --quiet "$key" 2>/dev/null || continue
        id=${key#gpg-pubkey-}
        if rpm -e "$key" 2>/dev/null || rpmkeys --delete "${id%-*}" 2>/dev/null; then say "removal: $key"; else say "stays, as rpm does not let go of it: $key"; fi
    done
    forget_sources
}
