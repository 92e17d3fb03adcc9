# pacman, 6 and newer. Needs: LOCK_WAIT (seconds), HOLDS, BUILD, and aur.sh. A package is asked for as NAME or as NAME~VERSION (a branch or full
# version): the repositories have one version of each, which is the one that is asked for or refused.
DB=/var/lib/pacman

# The process that has the lock file open; fails when there is none.
lock_holder() {
    find /proc/[0-9]*/fd -lname "$DB/db.lck" 2>/dev/null | sed -n 's|^/proc/\([0-9]*\)/.*|\1|p' | head -n 1 | grep .
}
wait_for_lock() {
    waited=0
    while [ -e "$DB/db.lck" ]; do
        # Of our own transaction that was cut off: it has kept everybody else away since.
        if [ -n "$cut_off" ] && ! lock_holder >/dev/null; then rm -f "$DB/db.lck"; return 0; fi
        if pid=$(lock_holder); then locked_by="$(cat "/proc/$pid/comm") (pid $pid) holds $DB/db.lck"
        elif [ "$waited" -lt 2 ]; then locked_by="$DB/db.lck is there"
        else refuse "no process holds $DB/db.lck: a pacman was cut off; look at /var/log/pacman.log, remove the file, then run again"; fi
        [ "$waited" -lt "$LOCK_WAIT" ] || refuse "after $waited s $locked_by; wait for it or end it, then run again"
        [ "$waited" -gt 0 ] || say "waiting: $locked_by"
        waited=$((waited + 2)); sleep 2
    done
}
# Nobody is asked; what conflicts with a package of ours (question 4) may leave, and is judged by simulate.
config=/etc/pacman.conf
transact() { inside_asked env SYSTEMD_OFFLINE="${ROOT:+1}" pacman --config "$config" "$@" --noconfirm --noprogressbar --color never --ask 4 </dev/null; }

# With a bundle its index lies over the host's own, which stays as it is, and for pacman alone; in an overlay, which is thrown away, in its place.
SYNC=$STATE_DIR/bundle/sync
inside_asked() {
    if [ -z "${BUNDLE-}" ] || [ -n "${ROOT-}" ]; then inside "$@"
    # shellcheck disable=SC2016
    else mkdir -p "$SYNC" "$DB/sync" && unshare --mount /bin/sh -c 'mount --bind "$1" "$2" || exit 1; shift 2; exec "$@"' sh "$SYNC" "$DB/sync" "$@"; fi
}

# The index is never refreshed alone: packages of today on a system of last month are a partial upgrade, which Arch does not
# support (source: wiki.archlinux.org, System maintenance). So it must be as old as the system.
m_refresh() {
    wait_for_lock
    [ -z "${BUNDLE-}" ] || { refresh_bundle "$1"; return; }
    inside /bin/sh -c "ls $DB/sync/*.db" >/dev/null 2>&1 || refuse "there is no package index: pacman -Syu, reboot where it brings a kernel, then run again"
    pending=$(inside pacman -Qu 2>/dev/null | grep -cv '\[ignored\]')
    [ "$pending" = 0 ] || refuse "$pending packages are older than the package index, and a partial upgrade is not supported: pacman -Syu, reboot where it brings a kernel, then run again"
    : >"$1"
}
# What a bundle has is as old as the day on which it was made, and so must the system be.
refresh_bundle() {
    m_release
    inside_asked /bin/sh -c "rm -f $DB/sync/*.db $DB/sync/*.db.sig" || return 1
    transact -Sy >"$1" 2>&1 || return 1
    inside_asked pacman --config "$config" -Qu 2>/dev/null | grep -v '\[ignored\]' >"$SCRATCH/older"
    inside_asked pacman --config "$config" -S --print -u 2>&1 | sed -n 's/.*warning: \(.*\): local (.*) is newer than .*/\1/p' >"$SCRATCH/newer"
    older=$(grep -c . "$SCRATCH/older") newer=$(grep -c . "$SCRATCH/newer")
    [ "$older$newer" = 00 ] || refuse "this host and its bundle are of different days ($older packages are older here, $newer newer), and a partial upgrade is not supported: upgrade the host from that day's packages, or make the bundle from its own day's with --archive NAME=URL"
}
# What is built comes before everything else: in the rehearsal it is built, the transaction has what the rehearsal kept.
m_prepare() {
    if [ -n "${ROOT-}" ]; then aur_build; return; fi
    for name in $(aur_names); do
        [ -n "$(find "$AUR_DIR" -name "$name-[0-9]*.pkg.tar*")" ] || refuse "the package $name that the rehearsal has built is gone; run again"
    done
}
# The names that the repositories are asked for.
plain() { for spec in "$@"; do printf '%s\n' "${spec%%~*}"; done | grep -v '^/' | grep -vxF -e "$(aur_names)"; }
# install OPTIONS -- SPEC: headers come before a module of the AUR that is built against them, and that one before all that would
# bring another driver along.
install() {
    options=
    while [ "$1" != -- ]; do options="$options $1"; shift; done
    shift
    if [ -n "$AUR" ]; then
        # shellcheck disable=SC2046,SC2086
        [ -z "$BUILD" ] || transact -S --needed $options $(plain $BUILD) || return 1
        # shellcheck disable=SC2046,SC2086
        transact -U --needed $options $(aur_files) || return 1
    fi
    kept=$(printf '%s\n' "$@" | grep '^/')
    # shellcheck disable=SC2046
    set -- $(plain "$@")
    # shellcheck disable=SC2086
    if [ -z "$kept" ]; then [ $# = 0 ] || transact -S --needed $options "$@"
    elif [ $# = 0 ]; then transact -U --needed $options $kept
    else echo "not kept on this host, and the repositories have no older ones: $*"; return 1; fi
}

# A transaction on a copy of the database alone: pacman's own simulation shows nothing of what would leave. The packages are
# downloaded for it, as they are needed anyway.
m_simulate() {
    said=$1 copy=/run/gpu-host-pacman; shift
    wait_for_lock
    inside /bin/sh -c "rm -rf $copy && mkdir -m 700 $copy && cp -a $DB/local $copy/ && ln -s $DB/sync $copy/sync" || return 1
    inside pacman -Q >"$SCRATCH/before"
    : >"$SCRATCH/started"
    install --dbonly --dbpath "$copy" --logfile /dev/null -- "$@" >"$said" 2>&1 && inside pacman -Q --dbpath "$copy" >"$SCRATCH/after"
    rc=$?
    inside rm -rf "$copy"
    # What came with a signature that is not good would be taken from the cache, and fail, ever after.
    # shellcheck disable=SC2046
    [ "$rc" = 0 ] || { find $(m_cache) -maxdepth 1 -type f -cnewer "$SCRATCH/started" -delete; return 1; }
    for spec in "$@"; do
        name=${spec%%~*} wanted=${spec#*~}
        [ "$name" != "$spec" ] || continue
        version=$(awk -v name="$name" '$1 == name { print $2 }' "$SCRATCH/after" | upstream)
        case $version in "$wanted" | "$wanted".*) ;; *) echo "$name: the repositories offer $version, asked for is $wanted" >>"$said"; return 1 ;; esac
    done
}
m_changes() {
    awk 'FILENAME == ARGV[1] { old[$1] = $2; next }
        !($1 in old) { print "install", $1, $2 }
        $1 in old && old[$1] != $2 { print "upgrade", $1, $2 }
        { new[$1] = 1 }
        END { for (name in old) if (!(name in new)) print "remove", name, old[name] }' "$SCRATCH/before" "$SCRATCH/after"
}
m_version() { inside pacman -Q "$1" 2>/dev/null | awk '{ print $2 }'; }
m_names() { inside pacman -Qq; }
m_download() {
    # shellcheck disable=SC2046
    set -- $(plain "$@")
    [ $# = 0 ] || transact -Sw --needed "$@" || { say "where a file is not found: the package index is older than the mirror; pacman -Syu, then run again"; return 1; }
}
m_install() { wait_for_lock; install -- "$@"; }
# An entry of the database without a description is that of a package whose files were being written.
m_repair() {
    again=
    for name in "$@"; do
        # shellcheck disable=SC2016
        inside /bin/sh -c 'for entry in "$1/local/$2"-[0-9]*-[0-9]*; do [ ! -d "$entry" ] || [ -s "$entry/desc" ] || rm -rf "$entry"; done' sh "$DB" "$name"
        again="$again $name"
    done
    # shellcheck disable=SC2046,SC2086
    set -- $(plain $again)
    [ $# = 0 ] && return 0
    [ -n "${TARGET-}" ] || { transact -S --overwrite '*' "$@"; return; }
    # What was about to come back lies here, and nowhere else.
    files=
    for one in $TARGET; do case " $* " in *" ${one%%=*} "*) files="$files $(m_kept "${one%%=*}" "${one#*=}")" ;; esac; done
    # shellcheck disable=SC2086
    [ -z "${files# }" ] || transact -U --overwrite '*' $files
}
# archive NAME VERSION FOLDER...: the file of that package.
archive() {
    wanted=$1-$2; shift 2
    find "$@" -maxdepth 1 -name "$wanted-*.pkg.tar*" ! -name '*.sig' ! -name '*.part' 2>/dev/null | head -n 1
}
# With its signature; one without (built on this host, say) is no way back.
# shellcheck disable=SC2046
m_archive() {
    file=$(archive "$@" $(m_cache))
    [ ! -s "$file.sig" ] || printf '%s\n' "$file" "$file.sig"
}
# What pacman itself has kept is as good.
# shellcheck disable=SC2046
m_kept() { archive "$@" "$KEPT" $(m_cache); }
m_trusted() { pacman-key --verify "$1.sig" "$1" >/dev/null 2>&1; }
m_alone() { :; }
m_exact() { printf '%s~%s\n' "$@"; }
m_cache() { pacman-conf CacheDir | sed 's|/$||'; }
m_quiet() {
    inside /bin/sh -c 'for name in mkinitcpio dracut kernel-install udevadm; do
        program=$(command -v "$name") || continue
        rm -f "$program"
        printf "#!/bin/sh\nexit 0\n" >"$program" && chmod 755 "$program" || exit 1
    done'
}
# pacman runs its hooks once, after all packages: so does the builder of boot images.
m_transaction() { m_install "$@" && rm -rf "$AUR_DIR"; }

# The packages that pacman leaves alone stand in its own configuration; ours in a line under our mark, which no one else's touches.
MARK='# gpu-host keeps these versions'
configuration() {
    inside cat /etc/pacman.conf | awk -v mark="$MARK" -v kept="$1" '
        $0 == mark { getline; next }
        { print }
        /^[ \t]*\[options\]/ && kept != "" { print mark; print "IgnorePkg =" kept; kept = "" }'
}
m_hold() {
    kept=
    for name in $HOLDS; do [ -z "$(m_version "$name")" ] || kept="$kept $name"; done
    configuration "$kept" >"$SCRATCH/pacman.conf"
    cmp -s "$SCRATCH/pacman.conf" /etc/pacman.conf || put "$SCRATCH/pacman.conf" /etc/pacman.conf
}
# Ours must not bind our own transaction; those of others do.
m_release() {
    if [ -n "${ROOT-}" ]; then configuration "" | bundled >"$SCRATCH/free.conf" && inside /bin/sh -c 'cat >/etc/pacman.conf' <"$SCRATCH/free.conf"
    else config=$SCRATCH/free.conf; configuration "" | bundled >"$config"; fi
}
# With a bundle: the host's own options, and no repository but its. It is read as root, who may where others may not.
bundled() {
    [ -n "${BUNDLE-}" ] || { cat; return; }
    awk '/^[ \t]*\[/ { keep = /\[options\]/ } keep && !/^[ \t]*DownloadUser/'
    inside cat "$STATE_DIR/bundle/bundle.conf"
}

# pacman removes what it is told and nothing else, or says what needs it: ":: removing NAME breaks dependency 'WHAT' required by OTHER". What came
# because another package needed it stays where somebody else needs it by now.
m_removable() {
    names="$WANTED $NEEDED"
    while [ -n "${names%% }" ]; do
        # shellcheck disable=SC2086
        transact -R --print $names >"$1.said" 2>&1 && break
        before=$names names=
        for name in $before; do
            case " $NEEDED " in *" $name "*) if grep -q "removing $name breaks dependency" "$1.said"; then continue; fi ;; esac
            names="$names $name"
        done
        [ "${names# }" != "${before# }" ] || break
    done
    # shellcheck disable=SC2086
    if [ -n "${names%% }" ]; then printf '%s\n' $names; fi >"$1"
}
m_simulate_removal() {
    said=$1; shift
    inside pacman -Q >"$SCRATCH/before"
    transact -R --print --print-format %n "$@" >"$said" 2>&1 || return 1
    awk 'FILENAME == ARGV[1] { gone[$1] = 1; next } !($1 in gone)' "$said" "$SCRATCH/before" >"$SCRATCH/after"
}
m_remove() { wait_for_lock; transact -R "$@"; }

# Nobody is in the middle of a change when the overlay is made over it.
wait_for_lock
