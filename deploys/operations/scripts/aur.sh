# Recipes of the Arch User Repository, built inside the rehearsal's overlay by a user that exists only there. Needs: AUR, lines
# "BASE URL COMMIT SHA256 PACKAGE,PACKAGE". Anyone may publish there, so a recipe is the one that a person has read, or none.
AUR_DIR=$STATE_DIR/aur WORK=$STATE_DIR/aur-build BUILDER=gpu-host-build

aur_names() { printf '%s\n' "$AUR" | awk '{ print $5 }' | tr ',' '\n'; }
aur_files() { find "$AUR_DIR" -name '*.pkg.tar*' | sort; }

# builder yes|no COMMAND: as the build user, without privileges and, with "no", without network.
builder() {
    [ "$1" = yes ] && cut= || cut="unshare --net"
    shift
    # shellcheck disable=SC2086
    inside $cut setpriv --reuid="$BUILDER" --regid="$BUILDER" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
        env -i PATH=/usr/bin:/usr/sbin:/bin HOME="$WORK" LC_ALL=C GIT_TERMINAL_PROMPT=0 PKGDEST="$WORK/out" \
        http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" no_proxy="${no_proxy-}" "$@" </dev/null
}
# In the folder of the recipe.
recipe() { net=$1; shift; builder "$net" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$WORK/$base" "$@"; }

# Sources whose content no strong checksum and no commit binds.
unbound() {
    awk -F ' = ' '
        { sub(/^[ \t]+/, "", $1) }
        $1 ~ /^source(_x86_64)?$/ { suffix = substr($1, 7); source[suffix, ++n[suffix]] = $2 }
        $1 ~ /^(sha224|sha256|sha384|sha512|b2)sums(_x86_64)?$/ { suffix = $1; sub(/^[a-z0-9]+sums/, "", suffix); kind = $1; if ($2 != "SKIP") bound[suffix, ++m[kind]] = 1; else m[kind]++ }
        END {
            for (key in source) if (!(key in bound) && source[key] !~ /\.(sig|asc|sign)$|#commit=[0-9a-f]{40}$/) print source[key]
        }' "$1"
}

# The recipe as it was read: that commit, still part of the published history, with that PKGBUILD.
aur_fetch() {
    builder yes git clone --quiet --no-checkout "$url/$base.git" "$WORK/$base" || refuse "the recipe $url/$base.git cannot be fetched"
    recipe no git merge-base --is-ancestor "$commit" HEAD 2>/dev/null || refuse "$url/$base.git has no commit $commit any more: its history was rewritten; read what is there now before you change gpu_aur"
    recipe no git checkout --quiet --detach "$commit" || refuse "commit $commit of $base cannot be checked out"
    found=$(inside sha256sum "$WORK/$base/PKGBUILD" | cut -d ' ' -f 1)
    [ "$found" = "$digest" ] || refuse "the PKGBUILD of $base at $commit has SHA-256 $found; gpu_aur says $digest"
}
# All that the build needs comes from the official repositories, and into the overlay only.
aur_dependencies() {
    recipe no makepkg --printsrcinfo >"$SCRATCH/srcinfo" || refuse "the PKGBUILD of $base cannot be read"
    loose=$(unbound "$SCRATCH/srcinfo" | tr '\n' ' ')
    [ -z "$loose" ] || refuse "$base has sources that no strong checksum binds: $loose"
    own=$(sed -n 's/^pkgname = //p' "$SCRATCH/srcinfo")
    wanted=$(sed -nE 's/^[[:space:]]*(make)?depends(_x86_64)? = //p' "$SCRATCH/srcinfo" | awk -v own=" $(echo "$own" | tr '\n' ' ') " '{ name = $0; sub(/[<>=].*/, "", name); if (!index(own, " " name " ")) print }' | sort -u)
    # shellcheck disable=SC2086
    lacking=$(inside pacman -T $wanted)
    # shellcheck disable=SC2086
    [ -z "$lacking" ] || transact -S --needed --asdeps $lacking || refuse "what $base needs cannot be installed from the official repositories: $(echo "$lacking" | tr '\n' ' ')"
}
aur_build() {
    [ -n "$AUR" ] || return 0
    mkdir -p -m 700 "$AUR_DIR"
    transact -S --needed --asdeps base-devel git >/dev/null || refuse "the tools that build packages cannot be installed: base-devel git"
    inside useradd --system --no-create-home --home-dir "$WORK" --shell /usr/bin/nologin "$BUILDER" || refuse "no build user can be made"
    # The state folder is closed to everybody but root; the build user passes through it.
    inside /bin/sh -c "chmod 711 $STATE_DIR && mkdir -p $WORK $AUR_DIR && chown $BUILDER: $WORK" || refuse "no folder to build in"
    while read -r base url commit digest names; do
        say "rehearsal: recipe $base of the AUR at commit $commit, PKGBUILD $digest"
        aur_fetch
        aur_dependencies
        recipe yes makepkg --nodeps --verifysource --noconfirm || refuse "the sources of $base cannot be fetched, or have other checksums than the recipe says"
        recipe no makepkg --nodeps --noconfirm --nocheck || refuse "$base does not build"
        for name in $(echo "$names" | tr ',' ' '); do
            file=$(find "$ROOT$WORK/out" -name "$name-[0-9]*.pkg.tar*" ! -name '*.sig' | head -n 1)
            [ -n "$file" ] || refuse "the recipe $base has built no package $name"
            cp "$file" "$AUR_DIR/" && cp "$file" "$ROOT$AUR_DIR/" || refuse "$name cannot be kept"
        done
    done <<EOF
$AUR
EOF
}
