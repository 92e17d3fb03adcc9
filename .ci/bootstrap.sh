# shellcheck shell=sh
# Shared by ./provision and ./run-tests, which set $program and $root: a Python that can make virtual environments, and
# .venv filled from a lock. POSIX sh. Every failure says what to do, exits 2 and leaves nothing half-made.

venv=$root/.venv
stamp=$venv/.installed

# Messages and file names in one encoding, whatever the machine is set to.
LC_ALL=C.UTF-8
export LC_ALL

die() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 2
}

# The distribution's own python3 first: its venv module and wheels are the best tried.
pythons='python3 python3.14 python3.13 python3.12 python3.11 python3.10'

find_python() {
    python='' without_venv=''
    for candidate in $pythons; do
        "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 || continue
        if "$candidate" -I -c 'import ensurepip, ssl, venv' >/dev/null 2>&1; then
            python=$candidate
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    if [ -n "$without_venv" ]; then
        die "$without_venv cannot make virtual environments; $(install_hint "$without_venv")"
    fi
    found=$(python3 -I -c 'import platform; print("Python", platform.python_version())' 2>/dev/null) || found='no Python 3'
    die "found $found, needed Python 3.10 or newer; $(install_hint '')"
}

# $1: the Python that lacks venv, or nothing where none is new enough.
install_hint() {
    root_prefix=''
    [ "$(id -u)" -eq 0 ] || root_prefix='sudo '
    if command -v apt-get >/dev/null 2>&1; then
        install="apt-get update && ${root_prefix}apt-get install -y ${1:-python3 python3}-venv"
    elif command -v dnf >/dev/null 2>&1; then
        install="dnf install -y ${1:-python3.12}${1:+-pip}"
    elif command -v zypper >/dev/null 2>&1; then
        install='zypper install -y python311 python311-pip'
    elif command -v pacman >/dev/null 2>&1; then
        install='pacman -S --needed python'
    elif command -v apk >/dev/null 2>&1; then
        install='apk add python3 py3-pip'
    else
        printf 'install Python 3.10 or newer with venv and pip'
        return
    fi
    printf 'run: %s%s' "$root_prefix" "$install"
    [ -n "$1" ] || printf '\n  (where that is still too old, run from a newer machine over SSH: ./provision HOST -y)'
}

# One line each: where and with which Python the environment was made, then the locks that are installed.
identity() {
    "$venv/bin/python" -I -c 'import sys; print(*sys.version_info[:2], sys.argv[1])' "$root" 2>/dev/null
}

is_installed() {
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$(identity)" ] && grep -qxF "$(cksum <"$1")" "$stamp"
}

# ensure_venv LOCK [LOCK THAT THE FIRST ONE CONTAINS]
ensure_venv() {
    is_installed "$1" && return
    [ -w "$root" ] || die "cannot write to $root; run as its owner, or clone it for yourself"
    # Two first runs at once wait for each other, also ./provision and ./run-tests; the lock is given back before pyinfra starts.
    exec 9<"$root/.ci/bootstrap.sh"
    if command -v flock >/dev/null 2>&1; then flock 9; fi
    is_installed "$1" || install_venv "$@"
    exec 9<&-
}

install_venv() {
    trap 'rm -rf "$venv"; exit 130' INT TERM HUP
    if [ ! -f "$stamp" ] || [ "$(head -n 1 "$stamp")" != "$(identity)" ]; then
        find_python
        rm -rf "$venv"
        "$python" -I -m venv "$venv" >&2 || {
            rm -rf "$venv"
            die "$python could not make $venv (see above); $(install_hint "$python")"
        }
    fi
    printf '%s: installing %s into .venv (once; about half a minute)\n' "$program" "${1##*/}" >&2
    rm -f "$stamp"
    "$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1" >&2 || {
        rm -rf "$venv"
        die "installing ${1##*/} failed (see above); check the network, or pip's proxy and index settings, and run again"
    }
    # facts and deploys are found from any working directory, without PYTHONPATH leaking into commands on this machine.
    site=$("$venv/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$root" >"$site/gpu-host.pth"
    { identity && for lock; do cksum <"$lock"; done; } >"$stamp"
    trap - INT TERM HUP
}
