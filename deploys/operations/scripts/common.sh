# Shared by all scripts; the manager's own file (apt.sh, dnf.sh, zypper.sh, pacman.sh) follows it and defines m_* functions:
#   m_refresh FILE        refresh the index of all sources, every error an error; output into FILE
#   m_prepare             what must be there before the packages can be asked for (PINS, STREAM)
#   m_simulate FILE SPEC  solve, change nothing; output into FILE
#   m_changes FILE        that output as lines "install|upgrade|remove NAME VERSION"
#   m_version NAME        version of an installed package, "" when it is not
#   m_names               names of all installed packages, one a line
#   m_download SPEC, m_install SPEC
#   m_cache               folders that keep downloads, one a line
#   m_quiet               inside an overlay: no service starts, no boot image is built
#   m_transaction SPEC    m_install on the host; boot images are built once at most
#   m_hold, m_release     HOLDS are kept at their versions and nothing else of ours, or free to move
#   m_note, m_came        before and after a transaction: what else is to be remembered of it (keys, streams) is noted
#   m_forget              after a removal: that goes, too
#   m_repair NAMES        what a transaction of ours that was cut off had begun with is whole again
# `inside` runs a command where the packages are: on the host, or in the overlay.
export LC_ALL=C
set -u

say() { printf '@@ %s\n' "$*"; }
# The reason of a refusal; its last lines reach the person who runs this.
refuse() { printf '@@ refused: %s\n' "$*"; exit 1; }
inside() { "$@"; }

# Version of the vendor, without epoch and revision.
upstream() { sed "s/^[0-9]*://; s/[-_].*//"; }

# Would the transaction remove what it must not, or move a package that keeps the host reachable and bootable?
simulate() {
    : >"$SCRATCH/changes"
    [ $# -gt 0 ] || return 0
    m_simulate "$SCRATCH/simulation" "$@" || { cat "$SCRATCH/simulation"; refuse "the packages cannot be installed together"; }
    m_changes "$SCRATCH/simulation" >"$SCRATCH/changes"
    allow
}
allow() {
    removals=$(awk '$1 == "remove" { print $2 }' "$SCRATCH/changes")
    removed=$(printf '%s\n' "$removals" | grep -Ev "$MAY_REMOVE|^$" | tr '\n' ' ')
    [ -z "$removed" ] || refuse "the transaction would remove: $removed"
    # shellcheck disable=SC2086
    [ -z "$removals" ] || say "replaces other packages of the driver:" $removals
    moved=$(awk '$1 != "remove" { print $2 }' "$SCRATCH/changes" | grep -E "$MUST_STAY" | tr '\n' ' ')
    [ -z "$moved" ] || refuse "the transaction would change packages that keep the host reachable: $moved"
}

# Which holds are ours, of which version and since when, whatever the manager itself notes of them.
LEDGER=/etc/gpu-host/holds
ledger() { inside cat "$LEDGER" 2>/dev/null | grep -v '^#'; }
# The lines on standard input take its place; without any there is none.
note() {
    lines=$(cat)
    [ -n "$lines" ] || { rm -f "$LEDGER"; return; }
    new=$LEDGER.gpu-host-new
    mkdir -p "${LEDGER%/*}" && printf '%s\n%s\n' "$LEDGER_HEAD" "$lines" >"$new" && chmod 644 "$new" || return 1
    if cmp -s "$new" "$LEDGER"; then rm -f "$new"; else mv -f "$new" "$LEDGER"; fi
}
LEDGER_HEAD='# Written by gpu-host, the owner of these holds: modules and libraries of the driver must stay of one version. NAME VERSION SINCE'
# What somebody else holds stays theirs, where the manager knows only one hold per package.
m_foreign() { :; }
m_note() { :; }
m_came() { :; }
m_forget() { :; }
# A hold is in the ledger before it is on the host, so that none of ours is ever taken for somebody else's.
hold() {
    foreign=$(m_foreign)
    for name in $HOLDS; do
        version=$(m_version "$name")
        [ -n "$version" ] && ! printf '%s\n' "$foreign" | grep -qxF "$name" || continue
        since=$(ledger | awk -v n="$name" -v v="$version" '$1 == n && $2 == v { print $3; exit }')
        echo "$name $version ${since:-$(date -u +%Y-%m-%d)}"
    done >"$SCRATCH/kept"
    { cat "$SCRATCH/kept"; ledger | awk -v ours=" $HOLDS " '!index(ours, " " $1 " ")'; } >"$SCRATCH/both"
    note <"$SCRATCH/both" && m_hold && note <"$SCRATCH/kept"
}

# Version that a package will have: from the simulation, else as installed.
coming_version() {
    coming=$(awk -v n="$1" '$1 != "remove" && $2 == n { print $3; exit }' "$SCRATCH/changes")
    [ -n "$coming" ] || coming=$(m_version "$1")
    printf '%s' "$coming" | upstream
}

# A driver works only when kernel modules and libraries are of one version.
same_version() {
    seen=
    for name in $SAME_VERSION; do
        version=$(coming_version "$name")
        case $seen in '' | *"=$version ") ;; *) refuse "modules and libraries would differ: $seen$name=$version" ;; esac
        [ -z "$version" ] || seen="$seen$name=$version "
    done
}

# The parts of the container toolkit are released together, and work together only as released.
together() {
    seen=
    for name in $TOGETHER; do
        version=$(coming_version "$name")
        case $seen in '' | *"=$version ") ;; *) [ -z "$version" ] || refuse "the parts of the container toolkit would differ: $seen$name=$version" ;; esac
        [ -z "$version" ] || seen="$seen$name=$version "
    done
}

# A driver that failed its proof on this host and was given up is not installed a second time by itself; what goes back is not asked.
given_up() {
    [ -z "${TARGET-}" ] && [ -n "$SAME_VERSION" ] && [ -r "$STATE_DIR/given-up" ] || return 0
    want=$(coming_version "${SAME_VERSION%% *}")
    day=$(awk -v version="$want" '$3 == "driver" && $4 == version { day = $2 } END { print day }' "$STATE_DIR/given-up")
    [ -z "$day" ] || refuse "driver $want failed its proof here on $day and was given up: ask for another gpu_driver_branch or, to try it once more, rm $STATE_DIR/given-up"
}

# The folder of the transaction's notes is there until the package manager has done all of it. What it was about to install, one
# name a line, from the last attempt and those before.
NOTES=$STATE_DIR/transaction
[ -d "$NOTES" ] && cut_off=1 || cut_off=
begun() { cat "$NOTES/begun" "$NOTES/changes" 2>/dev/null | awk '$1 != "remove" { print $2 }' | sort -u; }
take_up() {
    [ -n "$cut_off" ] || return 0
    say "takes up a transaction that was cut off"
    # shellcheck disable=SC2046
    m_repair $(begun) || refuse "what a transaction that was cut off has left cannot be put in order"
}

# put NEW FILE: at any moment FILE is the old one or the new one; owner and mode stay.
put() {
    { [ ! -e "$2" ] || cp -p "$2" "$2.gpu-host-new"; } && cat "$1" >"$2.gpu-host-new" && sync "$2.gpu-host-new" && mv -f "$2.gpu-host-new" "$2" || { rm -f "$2.gpu-host-new"; return 1; }
}

# What a transaction that lost its power left behind must not steer later builds.
OVERRIDE_MARK='# Written by gpu-host for one transaction'
drop_overrides() {
    rm -f /etc/dkms/*.conf.gpu-host-new
    for override in /etc/dkms/*.conf; do
        if [ -e "$override" ] && grep -qF "$OVERRIDE_MARK" "$override"; then rm -f "$override"; fi
    done
}

# Packages that a transaction of ours brings are what an uninstall may take away. They are noted before it, and written down after it when they are
# there; where the power failed in between, the next run does that. What was there before is never ours. Needs: WANTED (names).
note_coming() {
    for name in $PINS; do [ -n "$(m_version "$name")" ] || printf '%s\n' "$name"; done >"$SCRATCH/coming-names"
    # Of a kernel's headers another version may be there already: by their name they are not ours then.
    m_names | awk 'FILENAME == "-" { there[$1] = 1; next } $1 == "install" && !($2 in there) { print $2 }' - "$SCRATCH/changes" >>"$SCRATCH/coming-names"
    awk -v wanted=" $WANTED $PINS " '{ print $1, index(wanted, " " $1 " ") ? "wanted" : "needed" }' "$SCRATCH/coming-names" >>"$STATE_DIR/installing"
}
settle_installed() {
    [ -s "$STATE_DIR/installing" ] || { rm -f "$STATE_DIR/installing"; return 0; }
    [ -e "$STATE_DIR/installed" ] || : >"$STATE_DIR/installed"
    m_names | awk -v day="$(date -u +%Y-%m-%d)" '
        FILENAME == ARGV[1] { print; known[$1] = 1; next }
        FILENAME == "-" { there[$1] = 1; next }
        there[$1] && !known[$1]++ { print $1, $2, day }' "$STATE_DIR/installed" - "$STATE_DIR/installing" >"$STATE_DIR/installed.new" &&
        mv -f "$STATE_DIR/installed.new" "$STATE_DIR/installed" && rm -f "$STATE_DIR/installing"
}

# Packages of the driver's set that are about to come are kept, beside those that were proven last (PROVEN, NAME=VERSION): to go back needs no network.
# Links where that is possible, so that emptying the cache does not matter and nothing is stored twice. Needs: KEEP (names; "" keeps nothing).
KEPT=$STATE_DIR/kept
keep_packages() {
    [ -n "$KEEP" ] || return 0
    mkdir -p -m 700 "$KEPT"
    for one in $PROVEN; do m_kept "${one%%=*}" "${one#*=}"; done >"$SCRATCH/keep"
    awk '$1 != "remove" { print $2 }' "$SCRATCH/changes" | grep -E "$KEEP" | while read -r name; do
        version=$(awk -v name="$name" '$1 != "remove" && $2 == name { print $3; exit }' "$SCRATCH/changes")
        m_archive "$name" "$version" | while read -r file; do ln -f "$file" "$KEPT/" 2>/dev/null || cp -p "$file" "$KEPT/"; done
        m_kept "$name" "$version"
    done >>"$SCRATCH/keep"
    # What is there now may be what the next proof is about.
    m_names | grep -E "$KEEP" | while read -r name; do m_kept "$name" "$(m_version "$name")"; done >>"$SCRATCH/keep"
    for file in "$KEPT"/*; do
        [ ! -e "$file" ] || grep -qxF "${file%.sig}" "$SCRATCH/keep" || rm -f "$file"
    done
}
