"""Reading a boot image with a POSIX shell and common tools: shared by the probe and by the kernel gate on the host.

An image is one or more cpio archives: plain ones first, then usually a compressed one (source: Linux,
Documentation/driver-api/early-userspace/buffer-format.rst).
"""

# `list FILE` prints names as `plain NAME` and `packed NAME`, "whole" where nothing is compressed, and complaints on descriptor 3.
# `start` prints the offset of the compressed part, which is what follows the first plain archive that no other plain
# archive follows; "none" where only padding does, nothing where no archive ends.
LIST_IMAGE = r"""names() {
  grep -aoE '07070[12][0-9A-Fa-f]{104}(TRAILER!!!|[A-Za-z0-9_./+-]*(nouveau\.ko[.a-z0-9]*|modprobe\.d/[A-Za-z0-9_.+@-]+))' |
    cut -c 111- | sort -u | tag "$1"
}
start() {
  [ "$(head -c 5 "$1")" = 07070 ] || { echo 0; return; }
  grep -aboE '07070[12][0-9A-Fa-f]{104}TRAILER!!!' "$1" | while IFS=: read -r at rest; do
    skip=$(tail -c +$((at + 121)) "$1" | head -c 65536 | od -An -v -tx1 -w1 | grep -n -m 1 -v ' 00'); skip=${skip%%:*}
    [ -n "$skip" ] || { echo none; break; }
    begin=$((at + 119 + skip))
    [ "$(tail -c +$((begin + 1)) "$1" | head -c 5 | tr -d '\0')" = 07070 ] || { echo "$begin"; break; }
  done
}
unpack() {
  case $1 in
    1f8b*) set -- gzip -dc ;; 28b52ffd) set -- zstd -dcq ;; fd377a58) set -- xz -dc ;;
    02214c18|04224d18) set -- lz4 -dcq ;; 425a68*) set -- bzip2 -dc ;; 894c5a4f) set -- lzop -dc ;;
    5d0000*) set -- xz -dc --format=lzma ;; *) echo "# no decompressor for $1" >&3; return ;;
  esac
  have "$1" || { echo "# $1 is not there" >&3; return; }
  timeout 20 "$@"
}
list() {
  begin=$(start "$1")
  [ -n "$begin" ] || return
  [ "$begin" = 0 ] || names plain <"$1"
  [ "$begin" != none ] || { echo whole; return; }
  magic=$(tail -c +$((begin + 1)) "$1" | head -c 4 | od -An -v -tx1 | tr -d ' \n')
  tail -c +$((begin + 1)) "$1" | unpack "$magic" | names packed
}
"""
