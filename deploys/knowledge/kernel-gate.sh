#!/bin/sh
# Written by gpu-host: no kernel comes next that could not drive the GPUs, while another one can.
#
#   kernel-gate pin [GRUB_DEFAULT]   tell the release that must be the default instead ("" none); for GRUB, its menu entry
#   kernel-gate apply                make it so in the boot loader, or take our pin away
#   kernel-gate trial RELEASE        hold the running kernel as default, and have RELEASE started once
#   kernel-gate settle               forget a trial (one that went well, or was never carried out), then apply
#   kernel-gate release              take everything back, for good
#
# Nothing here may stop the installation of a kernel: what goes wrong is logged, and the exit status of a hook is 0.
set -u
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
state=/var/lib/gpu-host log=/var/log/gpu-host/kernel-gate.log
efi=/sys/firmware/efi/efivars vendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f

have() { command -v "$1" >/dev/null 2>&1; }
tag() { sed "s|^|$1 |"; }
note() {
  mkdir -p "${log%/*}" 2>/dev/null
  [ "$(wc -c 2>/dev/null <"$log" || echo 0)" -lt 500000 ] || mv "$log" "$log.1"
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" 2>/dev/null >>"$log"
}
kept() { [ -r "$state/$1" ] && sed -n "${2:-1}p" "$state/$1"; }
proven() { [ -r "$state/proven.json" ] && sed -n 's/^ *"kernel": "\([^"]*\)".*/\1/p' "$state/proven.json"; }
put() { # NAME TEXT
  mkdir -p "$state" && printf '%s\n' "$2" >"$state/$1.gpu-host-new" && mv -f "$state/$1.gpu-host-new" "$state/$1"
}

# --- what is there -------------------------------------------------------------------------------------------------------------

images() {
  {
    for f in /lib/modules/*/vmlinuz /boot/*/*/linux /efi/*/*/linux; do [ -e "$f" ] && f=${f%/*} && echo "${f##*/}"; done
    for f in /boot/vmlinuz-[0-9]*; do [ -e "$f" ] && echo "${f##*vmlinuz-}"; done
  } | grep -E '^[0-9]+\.[0-9]' | sort -uV
}
module() { # RELEASE
  find "/lib/modules/$1/" \( -type f -o -type l \) \( -name 'nvidia*.ko' -o -name 'nvidia*.ko.xz' -o -name 'nvidia*.ko.zst' -o \
    -name 'nvidia*.ko.gz' \) 2>/dev/null | grep -vE '/(nvidiafb|nvidia-wmi|nvidia[^/]*[-_](uvm|drm|modeset|peermem|fs|vfio))[^/]*$' |
    grep -E '/nvidia([-_][^/]*)?\.ko[^/]*$' | sort | head -n 1
}
field() { modinfo -F "$1" "$2" 2>/dev/null | head -n 1; }
libraries() {
  for d in /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib /usr/local/lib /lib64; do
    for f in "$d"/libcuda.so.[0-9]*.* "$d"/libnvidia-ml.so.[0-9]*.* "$d"/nvidia/*/libcuda.so.[0-9]*.* "$d"/nvidia/*/libnvidia-ml.so.[0-9]*.*; do
      [ -e "$f" ] && f=$(readlink -f "$f") && echo "${f##*.so.}"
    done
  done | grep -E '^[0-9]+(\.[0-9]+)+$' | sort -V | tail -n 1
}
initrd() { # RELEASE
  base=
  [ -r "/lib/modules/$1/pkgbase" ] && read -r base <"/lib/modules/$1/pkgbase"
  for f in "/boot/initrd.img-$1" "/boot/initramfs-$1.img" "/boot/initrd-$1" "/boot/initramfs-${base:-$1}.img"; do
    [ -f "$f" ] && echo "$f" && return
  done
}
#FRAGMENT
whole() { # FILE: can it be read to its end?
  said=$(exec 3>/dev/null; list "$1" 2>/dev/null) last=packed
  printf '%s\n' "$said" | grep -qx whole && last=plain
  printf '%s\n' "$said" | grep -qxF "$last TRAILER!!!"
}
enforced() {
  case $(cat /sys/kernel/security/lockdown 2>/dev/null) in *'[integrity]'* | *'[confidentiality]'*) return 0 ;; esac
  f=$efi/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
  [ -r "$f" ] && [ "$(od -An -v -tu1 "$f" | tr -s ' \n' '\n' | tail -n 1)" = 1 ] || return 1
  f=$efi/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23
  ! { [ -r "$f" ] && [ "$(od -An -v -tu1 "$f" | tr -s ' \n' '\n' | tail -n 1)" = 1 ]; }
}

# --- the rule ------------------------------------------------------------------------------------------------------------------

unfit() { # RELEASE: why it could not drive the GPUs
  images | grep -qxF "$1" || { echo 'has no image'; return; }
  [ "$(kept kernel-trial)" != "$1" ] || { echo 'is on trial and has not proven itself'; return; }
  m=$(module "$1")
  [ -n "$m" ] || { echo 'has no NVIDIA module'; return; }
  v=$(field version "$m") wants=$(libraries)
  if [ -z "$v" ]; then
    for k in $(images); do o=$(module "$k"); [ -n "$o" ] && [ -n "$(field version "$o")" ] && echo 'has an NVIDIA module that cannot be read' && return; done
  elif [ -n "$wants" ] && [ "$v" != "$wants" ]; then
    echo "has NVIDIA module $v, the libraries are $wants"; return
  else
    case $m in */weak-updates/*) b=$1 ;; *) b=$(field vermagic "$m"); b=${b%% *} ;; esac
    [ -z "$b" ] || [ "$b" = "$1" ] || { echo "has an NVIDIA module that was built for $b"; return; }
    if enforced; then
      [ -n "$(field signer "$m")" ] || { echo 'has an unsigned NVIDIA module, which Secure Boot rejects'; return; }
      case $m in */dkms/*) case $(mokutil --test-key /var/lib/dkms/mok.pub 2>&1) in
        *'already enrolled'*) ;; *'not enrolled'* | *'enrollment request'*) echo 'has an NVIDIA module signed by a key that is not enrolled'; return ;;
      esac ;; esac
    fi
  fi
  i=$(initrd "$1")
  if [ -z "$i" ]; then
    for k in $(images); do [ -z "$(initrd "$k")" ] || { echo 'has no initramfs'; return; }; done
  elif ! whole "$i"; then
    for k in $(images); do o=$(initrd "$k"); [ -n "$o" ] && [ "$o" != "$i" ] && whole "$o" && echo 'has an initramfs that cannot be read to its end' && return; done
  fi
}
choose() { # NATURAL: the release that must be held instead, "" none
  [ -n "$1" ] && have modinfo || return 0
  for k in $(images); do [ -z "$(module "$k")" ] || break; k=; done
  [ -n "$k" ] || return 0
  why=$(unfit "$1")
  [ -n "$why" ] || return 0
  for c in "$(uname -r)" "$(proven)" $(images | sort -rV); do
    [ -n "$c" ] && [ "$c" != "$1" ] && [ -z "$(unfit "$c")" ] || continue
    note "$1 $why: $c is held as default"
    echo "$c"
    return
  done
  note "$1 $why; no other kernel is fit: nothing is held"
}
named() { # what GRUB_DEFAULT asks for: a release, "" unknown
  w=$1
  [ "$w" != saved ] || w=$(variable saved_entry)
  case ${w:-0} in 0 | '1>0' | gnulinux-simple*) images | tail -n 1; return ;; esac
  images | awk '{ print length($0), $0 }' | sort -rn | while read -r _ k; do case $w in *"$k"*) echo "$k"; break ;; esac; done
}

# --- boot loaders --------------------------------------------------------------------------------------------------------------

folder=
for d in /boot/grub /boot/grub2; do [ -e "$d/grub.cfg" ] && folder=$d; done
edit() { if have grub2-editenv; then grub2-editenv "$folder/grubenv" "$@"; else grub-editenv "$folder/grubenv" "$@"; fi; }
variable() { [ -r "$folder/grubenv" ] && sed -n "s/^$1=//p" "$folder/grubenv"; }
efi_text() { [ -r "$efi/$1-$vendor" ] && tail -c +5 "$efi/$1-$vendor" | tr -d '\0'; }
files() { for f in /boot/loader/entries/*.conf /efi/loader/entries/*.conf /boot/efi/loader/entries/*.conf; do [ -r "$f" ] && echo "$f"; done; }
of_release() { # the entry file of RELEASE, without folder and ending
  files | while read -r f; do [ "$(sed -n 's/^version[[:space:]]*//p' "$f" | head -n 1)" = "$1" ] && f=${f##*/} && echo "${f%.conf}"; done | head -n 1
}
kind() {
  case $(efi_text LoaderInfo) in systemd-boot*) echo systemd-boot; return ;; esac
  [ -n "$folder" ] || return
  if grep -q '^[[:space:]]*blscfg' "$folder/grub.cfg" && [ -n "$(files)" ]; then echo bls
  elif grep -qs 'grub\.d/\*\.cfg' "$(command -v grub-mkconfig || command -v grub2-mkconfig)"; then echo grub
  elif [ "$(option)" = saved ]; then echo saved; fi
}
option() { sed -nE "s/^[[:space:]]*GRUB_DEFAULT=[\"']?([^\"']*).*/\1/p" /etc/default/grub 2>/dev/null | tail -n 1; }
menu_entry() { # submenu>entry of RELEASE in the menu as it is, the recovery modes left out
  awk -v k="$1" '
    function id(l) { if (match(l, /(menuentry_id_option|--id)[ \t]+[\047"]?[^\047" \t{]+/)) { l = substr(l, RSTART, RLENGTH); sub(/.*[ \t][\047"]?/, "", l); return l } return "" }
    $1 == "submenu" { sub_id = id($0); depth = 1; next }
    $1 == "menuentry" { own = id($0); recovery = ($0 ~ /recovery/); depth += (sub_id != ""); next }
    $1 == "}" && sub_id != "" { if (--depth == 0) sub_id = "" }
    $1 ~ /^linux/ && !recovery && own != "" && own !~ /simple/ && index($2 " ", "-" k " ") { print (sub_id == "" ? own : sub_id ">" own); exit }
  ' "$folder/grub.cfg"
}
entry() { case $(kind) in bls) of_release "$1" ;; systemd-boot) f=$(of_release "$1") && echo "${f:+$f.conf}" ;; *) menu_entry "$1" ;; esac; }

natural() { # what would come next without a pin of ours, for loaders that keep their choice in a variable
  former=$(kept pinned-kernel 2)
  case $1 in
    systemd-boot)
      now=$(efi_text LoaderEntryDefault)
      [ -z "$(kept pinned-kernel)" ] || [ "$now" != "$(entry "$(kept pinned-kernel)")" ] || now=$former
      [ -n "$now" ] && files | grep -F "/${now%.conf}.conf" | head -n 1 | xargs -r sed -n 's/^version[[:space:]]*//p' && return
      preferred=$(cat /boot/loader/loader.conf /efi/loader/loader.conf /boot/efi/loader/loader.conf 2>/dev/null | sed -n 's/^default[[:space:]]*//p' | head -n 1)
      v=$(files | while read -r f; do n=${f##*/}; case $n in $preferred | $preferred.conf) sed -n 's/^version[[:space:]]*//p' "$f" ;; esac; done | sort -V | tail -n 1)
      [ -z "$v" ] || { echo "$v"; return; } ;;
    *)
      now=$(variable saved_entry)
      [ -z "$(kept pinned-kernel)" ] || [ "$now" != "$(entry "$(kept pinned-kernel)")" ] || now=$former
      [ -z "$now" ] || [ "$now" = 0 ] || { named "$now"; return; } ;;
  esac
  images | tail -n 1
}
set_variable() { # KIND VALUE
  case $1 in
    systemd-boot) bootctl set-default "$2" ;;
    *) if [ -n "$2" ]; then edit set "saved_entry=$2"; else edit unset saved_entry; fi ;;
  esac
}
hold() { # KIND RELEASE: "" lets the former choice back in; what stood there before is kept
  held=$(kept pinned-kernel) former=$(kept pinned-kernel 2)
  now=$(if [ "$1" = systemd-boot ]; then efi_text LoaderEntryDefault; else variable saved_entry; fi)
  ours=; [ -z "$held" ] || [ "$now" != "$(entry "$held")" ] || ours=1
  if [ -z "$2" ]; then
    [ -z "$held" ] || { [ -z "$ours" ] || set_variable "$1" "$former"; rm -f "$state/pinned-kernel"; note "$held is no longer held as default"; }
    return
  fi
  wanted=$(entry "$2")
  [ -n "$wanted" ] || { note "no boot entry for $2 was found: nothing is held"; return 1; }
  [ -n "$ours" ] || former=$now
  put pinned-kernel "$2
$former" && { [ "$now" = "$wanted" ] || set_variable "$1" "$wanted"; }
}
generate() {
  if have update-grub; then update-grub; elif have grub-mkconfig; then grub-mkconfig -o "$folder/grub.cfg"; else grub2-mkconfig -o "$folder/grub.cfg"; fi
}
apply() {
  k=$(kind)
  case $k in
    grub) generate ;;
    bls | saved | systemd-boot) hold "$k" "$(choose "$(natural "$k")")" ;;
    *) note 'no boot loader that is known: nothing is held' ;;
  esac
}
once() { # RELEASE
  e=$(entry "$1")
  [ -n "$e" ] || { echo "no boot entry for $1 was found" >&2; return 1; }
  case $(kind) in
    systemd-boot) bootctl set-oneshot "$e" ;;
    *) edit set "next_entry=$e" ;;
  esac
}

not_once() { # no trial, and nothing that would be started once
  rm -f "$state/kernel-trial"
  case $(kind) in
    systemd-boot) [ -z "$(efi_text LoaderEntryOneShot)" ] || bootctl set-oneshot '' ;;
    grub | bls | saved) [ -z "$(variable next_entry)" ] || edit unset next_entry ;;
  esac
}

case ${1:-} in
pin)
  # Called while the menu is made: the answer is an entry of the menu as it was, whose ids do not change.
  held=$(choose "$(named "${2:-0}")") e=
  [ -z "$held" ] || e=$(menu_entry "$held")
  if [ -n "$e" ]; then put pinned-kernel "$held"; echo "$e"; else rm -f "$state/pinned-kernel"; fi ;;
apply) apply ;;
trial)
  put kernel-trial "$2
$(cat /proc/sys/kernel/random/boot_id)" && apply && [ -n "$(kept pinned-kernel)" ] && once "$2" &&
    note "$2 is started once; $(kept pinned-kernel) is held as default" && exit 0
  rm -f "$state/kernel-trial"
  apply
  exit 1 ;;
settle)
  not_once
  apply ;;
release)
  not_once
  case $(kind) in
    grub) rm -f "$state/pinned-kernel" /etc/default/grub.d/gpu-host.cfg && generate ;;
    bls | saved | systemd-boot) hold "$(kind)" '' ;;
  esac ;;
hook)
  # After the module's build and the boot image. GRUB asks for itself where its menu is made; others are told.
  [ "$(kind)" = grub ] || apply >/dev/null 2>&1
  exit 0 ;;
*) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
