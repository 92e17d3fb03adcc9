# Going back: the packages of TARGET (NAME=VERSION) are what is asked for, from the files that were kept; where all of them were, no network is needed.
# Follows the manager's file. Needs: TARGET, and of the manager m_kept NAME VERSION (the kept file), m_trusted FILE, m_exact NAME VERSION (what is asked for
# otherwise), m_alone (no repository is asked).
PACKAGES='' MODULES='' SET='' lacking=''
for one in $TARGET; do
    file=$(m_kept "${one%%=*}" "${one#*=}")
    [ -z "$file" ] || m_trusted "$file" || { say "kept, and not signed by a key that this host trusts: $file"; file=; }
    [ -n "$file" ] || { lacking="$lacking $one"; file=$(m_exact "${one%%=*}" "${one#*=}"); }
    PACKAGES="$PACKAGES $file"
    # All of the set is asked for in the trial build: a module is built against its own firmware and scripts.
    case $one in *dkms*) MODULES=all ;; esac
done
[ -z "$MODULES" ] || MODULES=$PACKAGES
if [ -n "$lacking" ]; then say "not kept on this host, asked for in the repositories:$lacking"
else m_alone; m_refresh() { : >"$1"; }
fi
