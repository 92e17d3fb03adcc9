# zypper. Needs: LOCK_WAIT (seconds), HOLDS. A package is asked for as NAME, or as NAME~VERSION: a branch ("580") or full version, the
# same one for all that are asked for in that way.
CACHE=/var/cache/zypp LOCKS=/etc/zypp/locks PID_FILES=/run/zypp.pid SOURCES=/etc/zypp/repos.d RAW=$CACHE
export ZYPP_LOCK_TIMEOUT="$LOCK_WAIT"

# Everything is here: no source is asked, so that none that does not answer is waited for.
m_alone() { alone=--no-remote; }
alone=

# With a bundle nothing else is asked: the host's own repositories, what was read of them, and services that name others stay as they are.
if [ -n "${BUNDLE-}" ]; then
    SOURCES=$STATE_DIR/bundle RAW=$STATE_DIR/bundle
    alone="--reposd-dir $SOURCES --raw-cache-dir $RAW/raw --solv-cache-dir $RAW/solv"
fi
without_services() {
    [ -n "${BUNDLE-}" ] && inside test -d /etc/zypp/services.d || return 0
    if [ -n "${ROOT-}" ]; then inside find /etc/zypp/services.d -name '*.service' -delete
    else mkdir -p "$SCRATCH/no-services" && hide "$SCRATCH/no-services" /etc/zypp/services.d; fi
}

# zypper FILE WORDS: the output goes into FILE ("" the log); nobody is asked, no key is accepted. 102 and 103: done, and the machine
# or zypper itself should be started again. 107: done, and a scriptlet of a package has failed.
zypper() {
    output=$1; shift
    wait_for_lock
    # shellcheck disable=SC2086
    if [ -n "$output" ]; then manage zypper --non-interactive $alone "$@" >"$output" 2>&1; else manage zypper --non-interactive $alone "$@"; fi
    rc=$?
    case $rc in 102 | 103) return 0 ;; 107) say "a scriptlet of a package has failed"; return 0 ;; *) return "$rc" ;; esac
}

# Our own sources count: each must be valid by a key that is in our own file; a source of somebody else that is not is skipped.
# zypper takes its keys from rpm alone.
m_refresh() {
    without_services
    names="$SOURCES/gpu-host-*.repo"
    [ -z "${BUNDLE-}" ] || names="$SOURCES/*.repo"
    inside /bin/sh -c "sed -n 's|^gpgkey=file://||p' $names 2>/dev/null" >"$SCRATCH/keys"
    while read -r key; do
        inside rpm --import "$key" >>"$1" 2>&1 || return 1
    done <"$SCRATCH/keys"
    # What was verified with an earlier key says nothing about the key that is there now.
    inside /bin/sh -c "rm -rf $RAW/raw/gpu-host-* $RAW/solv/gpu-host-*"
    ours=$(inside /bin/sh -c "sed -n 's/^\[\(gpu-host-.*\)\]/\1/p' $names 2>/dev/null")
    # shellcheck disable=SC2086
    [ -z "$ours" ] || zypper "$1" refresh --force $ours || return 1
    zypper "$SCRATCH/others" refresh || skipped=$(sed -n "s/.*Skipping repository '\(.*\)' because.*/\1/p" "$SCRATCH/others" | sort -u | tr '\n' ' ')
}
skipped=
m_prepare() {
    # shellcheck disable=SC2086
    [ -z "$PINS" ] || zypper "" --no-refresh install --no-recommends $PINS || refuse "the packages that come first cannot be installed: $PINS"
    # Inside an overlay the downloads outlive the trial build, because the cache is the host's.
    [ -z "${ROOT-}" ] || zypper /dev/null modifyrepo --keep-packages --all || :
}

# The newest version that all packages NAME~VERSION have: their editions, one NAME EDITION a line. Fails when there is none.
editions() {
    : >"$SCRATCH/editions"
    names= version=
    for spec in "$@"; do case $spec in *~*) names="$names ${spec%%~*}" version=${spec#*~} ;; esac; done
    [ -n "$names" ] || return 0
    # shellcheck disable=SC2086
    zypper "$SCRATCH/offers" --no-refresh --xmlout search --details --match-exact --type package $names
    sed -n 's/^<solvable .*name="\([^"]*\)".* edition="\([^"]*\)" arch="\(x86_64\|noarch\)".*/\1 \2/p' "$SCRATCH/offers" | sort -k 1,1 -k 2,2Vr -u | awk -v names="$names" -v version="$version" '
        { upstream = $2; sub(/^[0-9]+:/, "", upstream); sub(/[-_].*/, "", upstream) }
        upstream != version && index(upstream, version ".") != 1 { next }
        !(($1, upstream) in edition) { edition[$1, upstream] = $2; if (!seen[upstream]++) order[++n] = upstream }
        END {
            m = split(names, name, " ")
            for (i = 1; i <= n; i++) {
                have = 0
                for (j = 1; j <= m; j++) if ((name[j], order[i]) in edition) have++
                if (have == m && (best == "" || newer(order[i], best))) best = order[i]
            }
            if (best == "") exit 1
            for (j = 1; j <= m; j++) print name[j], edition[name[j], best]
        }
        function newer(a, b,  x, y, k) {
            split(a, x, "."); split(b, y, ".")
            for (k = 1; k <= 4; k++) if (x[k] + 0 != y[k] + 0) return x[k] + 0 > y[k] + 0
            return 0
        }' >"$SCRATCH/editions" || { echo "no version $version is on offer of all of:$names"; return 1; }
}
exact() {
    for spec in "$@"; do
        case $spec in *~*) awk -v name="${spec%%~*}" '$1 == name { print $1 "=" $2 }' "$SCRATCH/editions" ;; *) printf '%s\n' "$spec" ;; esac
    done
}

# A set of one driver goes back as well as forth; what gives way to it is judged by simulate.
install_words="--no-recommends --oldpackage --allow-vendor-change --force-resolution --auto-agree-with-licenses"
# zypper_install FILE OPTION SPEC: zypper reads XML only where something is simulated, so its log is for people.
zypper_install() {
    into=$1 option=$2; shift 2
    # shellcheck disable=SC2046,SC2086
    zypper "$into" --no-refresh ${into:+--xmlout} install $install_words $option $(exact "$@")
}
# Nothing is asked for in vain: a package that would be left out is an error.
m_simulate() {
    said=$1; shift
    editions "$@" >"$said" || return 1
    zypper_install "$said" --dry-run "$@" || { why_not "$said"; return 1; }
    m_changes "$said" >"$SCRATCH/coming"
    for spec in $(exact "$@"); do
        name=$(name_in "$spec")
        awk -v name="$name" '$1 != "remove" && $2 == name { found = 1 } END { exit !found }' "$SCRATCH/coming" || [ -n "$(m_version "$name")" ] || { echo "left out: $spec" >>"$said"; return 1; }
    done
}
# What is wrong, for people: from the file with zypper's XML, into that file.
why_not() {
    sed -n '/<message type="\(error\|warning\)">/,/<\/message>/p' "$1" | sed "s/<[^>]*>//g; s/&apos;/'/g; s/&quot;/\"/g; s/&gt;/>/g; s/&lt;/</g; s/&amp;/\&/g" >"$SCRATCH/why"
    [ -z "$skipped" ] || echo "skipped, because they cannot be refreshed: $skipped (see: zypper refresh; a new key is accepted by people only)" >>"$SCRATCH/why"
    if inside grep -q . "$LOCKS" 2>/dev/null; then echo "$LOCKS may hold versions that are not ours to move (see: zypper locks)" >>"$SCRATCH/why"; fi
    cp "$SCRATCH/why" "$1"
}
# <to-install><solvable type="package" name="NAME" edition="VERSION" .../></to-install>, one heading per kind.
m_changes() {
    awk '
        match($0, /^ *<to-[a-z-]+>/) { kind = $0; sub(/^ *<to-/, "", kind); sub(/>.*/, "", kind) }
        /^<\/to-|^ *<\/to-/ { kind = "" }
        kind != "" && /<solvable / && /type="package"/ {
            name = version = $0
            sub(/.* name="/, "", name); sub(/".*/, "", name)
            sub(/.* edition="/, "", version); sub(/".*/, "", version); sub(/^0:/, "", version)
            print (kind == "install" ? "install" : kind == "remove" ? "remove" : "upgrade"), name, version
        }
        /<\/to-/ { kind = "" }' "$1"
}
m_download() { zypper_install "" --download-only "$@"; }
m_install() { zypper_install "" "" "$@"; }
reinstall() {
    # shellcheck disable=SC2046
    zypper "" --no-refresh install --force $install_words $(for name in "$@"; do kept_or "$name" "$name=$(m_version "$name")"; done)
}
m_exact() { printf '%s=%s\n' "$@"; }
# The name in a specification, which may be a file.
name_in() { case $1 in /*) inside rpm -qp --qf '%{NAME}\n' "$1" 2>/dev/null ;; *) printf '%s\n' "${1%%[=~]*}" ;; esac; }
m_cache() { mkdir -p "$CACHE/packages"; echo "$CACHE/packages"; }
transact() {
    zypper_install "" "" "$@" || return 1
    rm -rf "$CACHE"/packages/gpu-host-*
}

# The locks of this host without ours.
MARK='gpu-host keeps this version'
foreign_locks() {
    inside cat "$LOCKS" 2>/dev/null | awk -v mark="comment: $MARK" '
        function flush() { if (block != "" && !index(block, mark)) printf "\n%s", block; block = "" }
        /^[ \t]*$/ { flush(); next }
        { block = block $0 "\n" }
        END { flush() }'
}
# Ours must not bind our own transaction; those of others do.
m_release() {
    foreign_locks >"$SCRATCH/locks"
    inside grep -qF "$MARK" "$LOCKS" 2>/dev/null || return 0
    if [ -n "${ROOT-}" ]; then inside /bin/sh -c "cat >$LOCKS" <"$SCRATCH/locks"; else hide "$SCRATCH/locks" "$LOCKS"; fi
}
m_hold() {
    foreign_locks >"$SCRATCH/new-locks"
    for name in $HOLDS; do
        [ -z "$(m_version "$name")" ] || printf '\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: %s\ncomment: %s\n' "$name" "$MARK" >>"$SCRATCH/new-locks"
    done
    if [ -e "$LOCKS" ]; then cmp -s "$SCRATCH/new-locks" "$LOCKS" && return 0; elif [ ! -s "$SCRATCH/new-locks" ]; then return 0; fi
    put "$SCRATCH/new-locks" "$LOCKS"
}

forget_sources() { rm -rf "$CACHE"/raw/gpu-host-* "$CACHE"/solv/gpu-host-* "$CACHE"/packages/gpu-host-*; }
m_simulate_removal() { said=$1; shift; zypper "$said" --no-refresh --xmlout remove --no-clean-deps --dry-run "$@" || { why_not "$said"; return 1; }; }
remove_all() { zypper "" --no-refresh remove --no-clean-deps "$@"; }

# Nobody is in the middle of a change when the overlay is made over it.
wait_for_lock
