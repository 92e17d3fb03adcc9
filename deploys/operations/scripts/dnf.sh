# dnf 4 and dnf 5; MANAGER says which. Needs: LOCK_WAIT (seconds), PACKAGES, PINS, STREAM, ENABLE, HOLDS.

# Options of every call. All or nothing, without what is merely recommended; nothing leaves that no package asks to leave.
# Files are checked as what comes from a repository is.
dnf_options="--setopt=best=1 --setopt=install_weak_deps=0 --setopt=clean_requirements_on_remove=0 --setopt=keepcache=0 --setopt=localpkg_gpgcheck=1"
# With a bundle nothing else is asked: the host's own repositories, and what was read of them, stay as they are. It has the index in one form, and whole packages.
if [ -n "${BUNDLE-}" ]; then
    dnf_options="$dnf_options --setopt=reposdir=$STATE_DIR/bundle --setopt=zchunk=0 --setopt=deltarpm=0"
fi
for id in $ENABLE; do dnf_options="$dnf_options --enablerepo=$id --setopt=$id.skip_if_unavailable=0"; done
if [ "$MANAGER" = dnf5 ]; then
    DNF=dnf5 CACHE=/var/cache/libdnf5 LOCKS=/etc/dnf/versionlock.toml
    # Its plugin would delete expired keys, of whomever, when it is told "yes".
    dnf_options="$dnf_options --setopt=system_cachedir=$CACHE --setopt=skip_broken=0 --setopt=skip_unavailable=0 --disable-plugin=expired-pgp-keys"
else
    DNF=dnf CACHE=/var/cache/dnf LOCKS=/etc/dnf/plugins/versionlock.list
    dnf_options="$dnf_options --setopt=cachedir=$CACHE --setopt=strict=1 --setopt=debuglevel=2 --setopt=exit_on_lock=1 --disableplugin=expired-pgp-keys"
fi
PID_FILES="/var/lib/dnf/rpmdb_lock.pid $CACHE/*_lock.pid"

# Our own sources count, whatever the host's configuration says about others. A key from the network is not ours to accept: its
# repository keeps to the keys that the host trusts already.
# shellcheck disable=SC2016 # awk's own fields
repository_options() {
    [ -z "${BUNDLE-}" ] || return 0
    inside /bin/sh -c 'for f in /etc/yum.repos.d/*.repo /etc/distro.repos.d/*.repo /usr/share/dnf5/repos.d/*.repo /etc/dnf/repos.override.d/*.repo; do [ ! -e "$f" ] || { cat "$f"; echo; }; done' | awk '
        /^[ \t]*([#;]|$)/ { next }
        /^\[/ { id = substr($0, 2, index($0, "]") - 2); key = 0; if (id ~ /^gpu-host-/) print "--setopt=" id ".skip_if_unavailable=0"; next }
        /^[^ \t]/ { key = /^gpgkey[ \t]*=/; sub(/^[^=]*=/, "") }
        key { for (n = split($0, words, /[ \t,]+/); n; n--) if (words[n] ~ /^(file:|\/)/) files[id] = files[id] "," words[n]; else if (words[n] != "") net[id] = 1 }
        END { for (id in net) print "--setopt=" id ".gpgkey=" substr(files[id], 2) }'
}

dnf_once() {
    answer=$1; shift
    # shellcheck disable=SC2046,SC2086
    manage $DNF "--assume$answer" $dnf_options $(repository_options) $alone "$@"
}
# dnf FILE yes|no WORDS: the output goes into FILE ("" the log), all questions get that answer.
dnf() {
    output=$1; shift
    while :; do
        wait_for_lock
        if [ -n "$output" ]; then dnf_once "$@" >"$output" 2>&1; else dnf_once "$@"; fi
        rc=$?
        # dnf 4 met another one that has started in between.
        [ "$rc" = 200 ] || return "$rc"
        sleep 2
    done
}

# What was verified with an earlier key says nothing about the key that is there now; a key that fails is not kept either.
forget_index() {
    for folder in "$CACHE"/gpu-host-*/; do rm -rf "${folder}repodata" "${folder}pubring" "${folder}solv"; done
    rm -f "$CACHE"/gpu-host-*.solv*
}
m_refresh() {
    forget_index
    dnf "$1" yes makecache --refresh || { forget_index; unseen_keys >>"$1"; return 1; }
}

# Why a signature may be unknown although its repository names a key.
unseen_keys() {
    unseen=$(repository_options | sed -n 's/^--setopt=\(.*\)\.gpgkey=$/\1/p' | tr '\n' ' ')
    [ -z "$unseen" ] || say "keys from the network are accepted by people only: where one of ${unseen}is to blame, check its key, then: rpm --import KEY, $DNF makecache"
}

# Packages that bring further repositories are there, and the stream that is asked for is the enabled one. What the rehearsal has downloaded stays: dnf
# empties its cache after a transaction, of whatever.
m_prepare() {
    # shellcheck disable=SC2086
    [ -z "$PINS" ] || dnf "" yes install --setopt=keepcache=1 $PINS || refuse "the packages that bring further repositories cannot be installed: $PINS"
    [ -z "${BUNDLE-}" ] || silence_brought
    [ -z "${TARGET-}" ] || STREAM=$(proven_stream)
    [ -n "$STREAM" ] || return 0
    # For the run that takes this one up: its plan asks for no stream any more.
    [ -n "${ROOT-}" ] || printf '%s\n' "$STREAM" >"$NOTES/stream"
    # What was read of the repositories last will do where none is asked.
    asked=$alone alone=${alone:+-C}
    if [ -n "$alone" ] && ! dnf /dev/null no module info "$STREAM"; then say "not enabled, as no index of it is here: stream $STREAM"; else choose_stream; fi
    alone=$asked
}
# A repository that has just come and that nobody here answers for would make every other call of dnf fail.
silence_brought() {
    # shellcheck disable=SC2086
    [ -z "$PINS" ] || inside rpm -ql $PINS | grep '^/etc/yum.repos.d/.*\.repo$' | while read -r file; do
        inside sed -i 's/^enabled *=.*/enabled=0/' "$file" && say "not enabled, as this site has a bundle: $file"
    done
}
choose_stream() {
    module=${STREAM%%:*}
    dnf "$SCRATCH/streams" no module list --enabled "$module"
    enabled=$(awk -v m="$module" '$1 == m { print $2; exit }' "$SCRATCH/streams")
    [ "$enabled" != "${STREAM#*:}" ] || return 0
    # Until the packages have followed; an overlay is thrown away as it is.
    [ -n "${ROOT-}" ] || { trap 'restore_stream; cleanup' EXIT; note_stream "$module ${enabled:--} ${STREAM#*:}"; }
    [ -z "$enabled" ] || { say "stream: $module:$enabled gives way to $STREAM"; dnf "" yes module reset "$module" || refuse "the stream $module:$enabled cannot be reset"; }
    dnf "" yes module enable "$STREAM" || refuse "the stream $STREAM cannot be enabled"
}
# MODULE BEFORE NOW, a line per change; a run that was cut off has written its line already.
note_stream() { [ "$(tail -n 1 "$STATE_DIR/streams" 2>/dev/null)" = "$1" ] || printf '%s\n' "$1" >>"$STATE_DIR/streams"; }
restore_stream() { alone=${alone:+-C}; sed -i '$d' "$STATE_DIR/streams"; dnf "" yes module reset "$module" && { [ -z "$enabled" ] || dnf "" yes module enable "$module:$enabled"; }; }
# The stream that a driver came from is the one that it goes back to: lines VERSION STREAM, "" where that was never noted.
proven_stream() {
    for one in $TARGET; do [ "${one%%=*}" != "${SAME_VERSION%% *}" ] || want=$(printf '%s' "${one#*=}" | upstream); done
    awk -v want="${want-}" '$1 == want { stream = $2 } END { print stream }' "$STATE_DIR/stream-of" 2>/dev/null
}
m_came() {
    stream=${STREAM:-$(cat "$NOTES/stream" 2>/dev/null)}
    [ -n "$stream" ] && [ -n "$HOLDS" ] || return 0
    line="$(m_version "${HOLDS%% *}" | upstream) $stream"
    grep -qxF "$line" "$STATE_DIR/stream-of" 2>/dev/null || printf '%s\n' "$line" >>"$STATE_DIR/stream-of"
}

# dnf 4 keeps versions by a plugin that may be absent; it comes in the same transaction where a repository has it.
lock_plugin() {
    plugin=
    [ "$MANAGER" = dnf4 ] && [ -n "$HOLDS" ] || return 0
    inside /bin/sh -c 'ls /usr/lib/python3*/*-packages/dnf-plugins/versionlock.py' >/dev/null 2>&1 && return 0
    dnf "$SCRATCH/plugin" no -q repoquery --whatprovides 'dnf-command(versionlock)'
    if grep -q versionlock "$SCRATCH/plugin"; then plugin='dnf-command(versionlock)'
    else say "no repository has the versionlock plugin of dnf: an upgrade may move the driver to another branch"; fi
}

# Nothing is asked for in vain: a package that would be skipped is an error.
m_simulate() {
    said=$1; shift
    lock_plugin
    # shellcheck disable=SC2086
    if dnf "$said" no install --allowerasing $plugin "$@" || grep -q '^Operation aborted' "$said"; then
        ! grep -q '^Skipping packages' "$said"
    else
        if grep -Eqv '^(#|version *=|$)' "$SCRATCH/locks" 2>/dev/null; then echo "$LOCKS holds versions that are not ours to move; see: $DNF versionlock list" >>"$said"; fi
        return 1
    fi
}
# Both print tables, a heading per kind: NAME ARCH VERSION REPOSITORY SIZE, and below a row what it replaces. dnf 4 breaks long
# rows; what follows is indented. What one of our packages replaces is moved, what another one replaces is removed.
# shellcheck disable=SC2016 # awk's own fields
m_changes() {
    sed "s/$(printf '\033')[[(][0-9;]*[A-Za-z]//g" "$1" | awk -v wanted=" $PACKAGES ${WANTED-} " '
        function plain(version) { sub(/^0:/, "", version); return version }
        function is_ours(name,  at) {
            at = index(wanted, " " name "-")
            return index(wanted, " " name " ") || (at && substr(wanted, at + length(name) + 2, 1) ~ /[0-9]/)
        }
        function flush(  f) {
            if (kind != "" && split(row, f, " ") >= 3) { name = f[1]; print kind, name, plain(f[3]) }
            row = ""
        }
        /^[A-Z].*:$/ {
            flush(); kind = ""
            if (/^Installing( (weak )?dependencies| group\/module packages)?:$/) kind = "install"
            if (/^(Upgrading|Downgrading|Reinstalling):$/) kind = "upgrade"
            if (/^Removing/) kind = "remove"
            next
        }
        /^ +replacing / && kind != "" {
            flush(); old = $2; version = sub(/\.(x86_64|aarch64|noarch|i686)$/, "", old) ? $3 : $4
            if (old != name) print (is_ours(name) ? "upgrade" : "remove"), old, plain(version)
            next
        }
        /^ [^ ]/ { flush(); row = $0; next }
        /^  +[^ ]/ { row = row $0; next }
        { flush(); kind = "" }
        END { flush() }'
}

# Downloads, and lets rpm check keys, signatures, files and room without installing; only the overlay gets to know the keys.
m_download() { dnf "" yes install --allowerasing --setopt=tsflags=test "$@" || { unseen_keys; return 1; }; }
m_install() { dnf "" yes install --allowerasing --setopt=keepcache=1 "$@"; }
reinstall() {
    # shellcheck disable=SC2046
    dnf "" yes reinstall $(for name in "$@"; do kept_or "$name" "$name"; done)
}
# Everything is here: no repository is asked, so that none that does not answer is waited for.
m_alone() { alone="--disablerepo=*"; }
alone=
m_exact() { printf '%s-%s\n' "$@"; }
m_cache() { mkdir -p "$CACHE"; echo "$CACHE"; }
transact() {
    # shellcheck disable=SC2086
    dnf "" yes install --allowerasing $plugin "$@" || return 1
    trap 'cleanup' EXIT
    # dnf forgets some of what a refused rehearsal has left; of a bundle nothing is asked again.
    rm -f "$CACHE"/gpu-host-*/packages/*.rpm
    [ -z "${BUNDLE-}" ] || rm -rf "$CACHE"/gpu-host-*
}

# The locks of this host without ours. dnf 4 drops comments when it writes its list, so there the end of the pattern is our mark:
# it fits every architecture as the plugin's own ".*" does.
MARK='gpu-host keeps this version'
OURS='.?*'
foreign_locks() {
    inside cat "$LOCKS" 2>/dev/null | if [ "$MANAGER" = dnf4 ]; then
        grep -vxF "# $MARK" | grep -vF -- "$OURS"
    else
        awk -v mark="\"$MARK\"" '
            function flush() { if (!index(block, mark)) printf "%s", block; block = "" }
            /^\[\[packages\]\]/ { flush() }
            { block = block $0 "\n" }
            END { flush() }'
    fi
}
# Ours must not bind our own transaction; those of others do.
m_release() {
    foreign_locks >"$SCRATCH/locks"
    inside grep -qF -e "$MARK" -e "$OURS" "$LOCKS" 2>/dev/null || return 0
    if [ -n "${ROOT-}" ]; then inside /bin/sh -c "cat >$LOCKS" <"$SCRATCH/locks"; else hide "$SCRATCH/locks" "$LOCKS"; fi
}
m_hold() {
    foreign_locks >"$SCRATCH/new-locks"
    for name in $HOLDS; do
        version=$(m_version "$name")
        case $version in '') continue ;; *:*) ;; *) version=0:$version ;; esac
        if [ "$MANAGER" = dnf4 ]; then
            printf '# %s\n%s-%s%s\n' "$MARK" "$name" "$version" "$OURS"
        else
            [ -s "$SCRATCH/new-locks" ] || echo 'version = "1.0"'
            printf '[[packages]]\nname = "%s"\ncomment = "%s"\n[[packages.conditions]]\nkey = "evr"\ncomparator = "="\nvalue = "%s"\n' "$name" "$MARK" "$version"
        fi >>"$SCRATCH/new-locks"
    done
    if [ -e "$LOCKS" ]; then cmp -s "$SCRATCH/new-locks" "$LOCKS" && return 0; elif [ ! -s "$SCRATCH/new-locks" ]; then return 0; fi
    mkdir -p "$(dirname "$LOCKS")" && put "$SCRATCH/new-locks" "$LOCKS"
}

# Streams are as they were before us, unless somebody has chosen another one since; then what was read of our own sources goes.
forget_sources() {
    [ ! -r "$STATE_DIR/streams" ] || cut -d ' ' -f 1 "$STATE_DIR/streams" | sort -u | while read -r module; do
        before=$(awk -v m="$module" '$1 == m { print $2; exit }' "$STATE_DIR/streams") now=$(awk -v m="$module" '$1 == m { now = $3 } END { print now }' "$STATE_DIR/streams")
        dnf "$SCRATCH/streams" no module list --enabled "$module"
        [ "$(awk -v m="$module" '$1 == m { print $2; exit }' "$SCRATCH/streams")" = "$now" ] || continue
        say "removal: stream $module:$now"
        dnf "" yes module reset "$module" && { [ "$before" = - ] || dnf "" yes module enable "$module:$before"; } || say "not done: $DNF module reset $module"
    done
    rm -rf "$CACHE"/gpu-host-*
}
m_simulate_removal() { said=$1; shift; dnf "$said" no remove "$@" || grep -q '^Operation aborted' "$said"; }
remove_all() { dnf "" yes remove "$@"; }

# Nobody is in the middle of a change when the overlay is made over it.
wait_for_lock
