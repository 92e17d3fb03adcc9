# Holds HOLDS, and frees what else of ours is held, outside of any transaction. Needs: HOLDS STATE_DIR LOCK_WAIT.
SCRATCH=$STATE_DIR/hold
mkdir -p "$SCRATCH"
cleanup() { rm -rf "$SCRATCH"; rmdir "$STATE_DIR" 2>/dev/null; }
trap 'cleanup' EXIT
trap 'exit 143' TERM INT HUP
hold || refuse "the holds of the driver's packages could not be written"
say "hold: ${HOLDS:-none}"
