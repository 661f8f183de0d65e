# shellcheck shell=sh disable=SC2034
# Set-up shared by the scripts: Debian packages, a build in a folder of its own. Sourced, from any place.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cores=$(nproc)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

build_packages="gcc make autoconf automake libtool pkg-config libdnnl-dev libhdf5-dev libjansson-dev libzip-dev
    libxxhash-dev libhwloc-dev libopenmpi-dev openmpi-bin"

# need_packages NAME...: installs the Debian packages that are missing. Elsewhere configure says what is missing.
need_packages() {
    command -v dpkg-query >/dev/null || return 0
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || die "these packages are missing; install them, or start this as root:$missing"
        as_root=sudo
    fi
    say "installing:$missing"
    # shellcheck disable=SC2086 # words on purpose
    { $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        >/tmp/kpar-packages.log 2>&1 || { tail -n 20 /tmp/kpar-packages.log >&2; die "apt-get failed"; }
}

# need_configure: makes configure from configure.ac where that is newer.
need_configure() {
    cd "$top"
    if [ ! -e configure ] || [ -n "$(find configure.ac Makefile.am m4/kpar*.m4 -newer configure)" ]; then
        say "autoreconf"
        autoreconf -i >autoreconf.log 2>&1 || { cat autoreconf.log >&2; die "autoreconf failed"; }
        rm -f autoreconf.log
    fi
}

# build FOLDER ARGUMENT...: configures with the arguments where that was not done, and makes all. The folder's
# build.log has the output.
build() {
    folder=$1
    shift
    mkdir -p "$folder"
    say "building in $folder (log: $folder/build.log)"
    (
        cd "$folder"
        [ -e Makefile ] || "$top/configure" "$@" || exit 1
        make -j"$cores"
    ) >"$folder/build.log" 2>&1 || { tail -n 30 "$folder/build.log" >&2; return 1; }
}
