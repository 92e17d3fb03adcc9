# Takes away packages that came with transactions of ours, and nothing else; simulated first. Needs: WANTED and NEEDED (names), ACT (1: not only
# simulated), DATA (names whose configuration and data stay), STATE_DIR MUST_STAY LOCK_WAIT, and of the manager:
#   m_removable FILE           names of WANTED and NEEDED that nothing else needs, into FILE
#   m_simulate_removal FILE NAMES, m_remove NAMES
SCRATCH=$STATE_DIR/removal
mkdir -p "$SCRATCH"
trap 'rm -rf "$SCRATCH"' EXIT
trap 'exit 143' TERM INT HUP

# Our own locks would keep them.
m_release
say "removal: what nobody else needs"
m_removable "$SCRATCH/names" || { cat "$SCRATCH/names"; refuse "what can be removed could not be found out"; }
NAMES=$(tr '\n' ' ' <"$SCRATCH/names")
stay=$(for name in $NEEDED; do grep -qxF "$name" "$SCRATCH/names" || printf '%s ' "$name"; done)
[ -z "$stay" ] || say "stays, because other packages need it by now: $stay"
: >"$SCRATCH/changes"
if [ -n "${NAMES% }" ]; then
    # shellcheck disable=SC2086
    m_simulate_removal "$SCRATCH/simulation" $NAMES || { cat "$SCRATCH/simulation"; refuse "the packages cannot be removed together"; }
    m_changes "$SCRATCH/simulation" >"$SCRATCH/changes"
fi
held=$(m_foreign | grep -xF -f "$SCRATCH/names" | tr '\n' ' ')
[ -z "$held" ] || refuse "held by others, and not ours to remove: $held"
others=$(awk '$1 == "remove" { print $2 }' "$SCRATCH/changes" | grep -vxF -f "$SCRATCH/names" | tr '\n' ' ')
[ -z "$others" ] || refuse "packages that did not come with this toolkit need them and would leave too: $others"
moved=$(awk '$1 != "remove" { print $2 }' "$SCRATCH/changes" | tr '\n' ' ')
[ -z "$moved" ] || refuse "others would come in their place: $moved"
reachable=$(awk '{ print $2 }' "$SCRATCH/changes" | grep -E "$MUST_STAY" | tr '\n' ' ')
[ -z "$reachable" ] || refuse "packages that keep the host reachable would leave: $reachable"
[ -n "$ACT" ] || { say "removal: would remove $(wc -l <"$SCRATCH/changes") packages"; exit 0; }

# A driver that somebody uses stays in the kernel until the next boot.
systemctl stop nvidia-persistenced.service nvidia-fabricmanager.service 2>/dev/null
for module in nvidia_peermem nvidia_uvm nvidia_drm nvidia_modeset nvidia; do [ ! -d "/sys/module/$module" ] || rmmod "$module" || break; done
HOLDS=; hold || refuse "our holds could not be taken back"
say "removal: $(wc -l <"$SCRATCH/changes") packages"
# shellcheck disable=SC2086
[ -z "${NAMES% }" ] || m_remove $NAMES || refuse "the packages could not be removed"
m_forget || refuse "what else came with the packages (keys, streams, indexes) could not be taken back"
say "removal: done"
