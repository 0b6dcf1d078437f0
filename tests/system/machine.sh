# shellcheck shell=bash
# One Debian machine: made, booted, switched off, lost. A container (container.sh) or a virtual machine (virtual.sh): what
# differs is there, in functions that begin with the kind's name. Sourced by ./run.

# container or virtual; what is in its root, and how much longer than on this host things may take in it.
kind=
packages=
patience=1
# Where its files lie. Until it is booted its root is in $machine/root; a container's stays there.
machine=
# The process of this host that ends with it, and one that is in its network.
holder=
leader=

die() {
  printf 'tests/system: %s\n' "$*" >&2
  exit 1
}

# A root with what a server has at least, made once and kept: the mirror is asked no more than that.
machine_tarball() { # SUITE
  local tarball=${XDG_CACHE_HOME:-$HOME/.cache}/chancel/roots/$1.tar
  [[ $kind == container ]] || tarball=${tarball%.tar}-$kind.tar
  if [[ ! -s $tarball ]]; then
    mkdir -p "$(dirname "$tarball")"
    # Under its own name when it is whole: half a root is a puzzle.
    mmdebstrap --quiet --variant=minbase --include="$packages" "$1" "$tarball.$$.tar" >&2
    mv "$tarball.$$.tar" "$tarball"
  fi
  printf '%s\n' "$tarball"
}

machine_make() { # KIND SUITE
  local tarball
  kind=$1
  "${kind}_begin"
  tarball=$(machine_tarball "$2")
  machine=$(mktemp -d /dev/shm/chancel-system.XXXXXXXX)
  mkdir "$machine/root"
  tar --extract --file "$tarball" --directory "$machine/root" --numeric-owner
  # Each machine its own: systemd's host key and the sealed secrets are bound to it.
  : >"$machine/root/etc/machine-id"
  echo chancel-test >"$machine/root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 chancel-test.example.test chancel-test\n::1 localhost\n' \
    >"$machine/root/etc/hosts"
}

# A signed repository in the machine, and nowhere else to install from.
machine_repository() { # DEBS
  local root=$machine/root keys=$machine/keys
  install -d -m 755 "$root/srv/repository/pool" "$root/etc/apt/keyrings"
  install -d -m 700 "$keys"
  cp "$1"/chancel*.deb "$root/srv/repository/pool/"
  machine_gpg --quick-gen-key 'test of packages <packages@example.test>' ed25519 sign never
  machine_gpg --export >"$root/etc/apt/keyrings/chancel.gpg"
  rm -rf "$root"/etc/apt/sources.list.d/*
  echo "deb [signed-by=/etc/apt/keyrings/chancel.gpg] file:/srv/repository ./" >"$root/etc/apt/sources.list"
  machine_index
}

# Packages under their version with something behind it, in place of a `+dirty`: what an upgrade or a downgrade looks like
# to dpkg.
machine_repack() { # DEBS SUFFIX
  local deb
  for deb in "$1"/chancel*.deb; do
    rm -rf "$machine/package"
    dpkg-deb --raw-extract "$deb" "$machine/package"
    sed -i -E -e "s/^(Version: [^+]*).*/\\1$2/" -e "/^Depends:/s/(chancel[a-z-]* \\(= [^)+]*)[^)]*\\)/\\1$2)/g" \
      "$machine/package/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone --build "$machine/package" "$machine/root/srv/repository/pool/" >/dev/null
  done
  machine_index
}

machine_gpg() { gpg --homedir "$machine/keys" --batch --quiet --yes --passphrase '' "$@" 2>>"$machine/gpg.log"; }

machine_index() {
  (
    cd "$machine/root/srv/repository"
    apt-ftparchive packages pool >Packages
    rm -f Release InRelease
    apt-ftparchive -o APT::FTPArchive::Release::Suite=local release . >"$machine/Release"
    machine_gpg --clearsign --output InRelease "$machine/Release"
  )
}

machine_boot() {
  local deadline=$((SECONDS + 60 * patience)) state
  "${kind}_start"
  until [[ -n $leader ]]; do
    machine_has_until "$deadline" "no machine"
    sleep 0.1
    "${kind}_find_leader"
  done
  until state=$(inside systemctl is-system-running 2>/dev/null) || [[ $state == degraded ]]; do
    machine_has_until "$deadline" "not booted: '$state'"
    sleep 0.1
  done
}

machine_has_until() { # DEADLINE WHAT
  local said
  said=$(tail -n 5 "$machine/console" 2>/dev/null || true)
  ((SECONDS < $1)) || die "$2: $said"
  kill -0 "$holder" 2>/dev/null || die "the machine ended: $said"
}

# Runs a program in the machine as its root.
inside() {
  "${kind}_inside" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

machine_off() {
  # A scenario may have ended with its end.
  [[ -n $holder ]] || return 0
  inside systemctl poweroff 2>/dev/null || true
  machine_gone
}

# All of it at once: whatever runs in it gets no signal that it could act on, and systemd stops nothing. A virtual machine
# loses besides what its disk was not told to keep.
machine_crash() {
  kill -KILL "$leader"
  machine_gone
}

machine_gone() {
  local deadline=$((SECONDS + 60 * patience))
  while kill -0 "$holder" 2>/dev/null; do
    ((SECONDS < deadline)) || die "does not power off"
    sleep 0.1
  done
  wait "$holder" 2>/dev/null || true
  holder=
  leader=
  "${kind}_ended"
}

machine_remove() {
  [[ -n $machine ]] || return 0
  if [[ ${keep:-no} == yes && -n $holder ]]; then
    printf 'kept, running: %s; files in %s\n' "$("${kind}_entrance")" "$machine"
    machine=
    return 0
  fi
  if [[ -n $holder ]] && kill -0 "$holder" 2>/dev/null; then
    "${kind}_kill"
    wait "$holder" 2>/dev/null || true
  fi
  holder=
  leader=
  rm -rf --one-file-system "$machine"
  machine=
}
