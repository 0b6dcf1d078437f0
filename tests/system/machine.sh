# shellcheck shell=bash
# One Debian machine, booted: a root on a tmpfs, and systemd as its first process in a container. Sourced by ./run.

# Where the root lies, the process of the container on this host, and its first process.
machine=
container=
leader=

die() {
  printf 'tests/system: %s\n' "$*" >&2
  exit 1
}

# A root with what a server has at least, made once and kept: the mirror is asked no more than that.
machine_tarball() { # SUITE
  local tarball=${XDG_CACHE_HOME:-$HOME/.cache}/chancel/roots/$1.tar
  if [[ ! -s $tarball ]]; then
    mkdir -p "$(dirname "$tarball")"
    # Under its own name when it is whole: half a root is a puzzle.
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,python3,openssl,ca-certificates,procps \
      "$1" "$tarball.new.tar" >&2
    mv "$tarball.new.tar" "$tarball"
  fi
  printf '%s\n' "$tarball"
}

machine_make() { # SUITE
  local tarball
  tarball=$(machine_tarball "$1")
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

# In a mount namespace of its own with a cgroup2 tree of its own, whatever the host has. The capabilities and system
# calls are those that a machine has and nspawn takes away: without them secret memory, Landlock and seccomp fail.
# shellcheck disable=SC2016 # the inner shell expands
readonly machine_inside='
set -eu
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/$(basename "$1")
mkdir "$group" "$group/container"
echo $$ >"$group/container/cgroup.procs"
mkdir -p /run/systemd/nspawn
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
systemd-nspawn --quiet --boot --register=no --keep-unit --machine=chancel-test --directory="$1/root" \
  --link-journal=no --resolv-conf=off --timezone=off --private-network --console=pipe \
  --capability=CAP_IPC_LOCK,CAP_BPF,CAP_PERFMON,CAP_SYS_RESOURCE \
  --system-call-filter="@memlock memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp \
bpf keyctl add_key request_key" \
  </dev/null >"$1/console" 2>&1 &
echo $! >"$1/nspawn.pid"
wait $! || true
echo $$ >/sys/fs/cgroup/cgroup.procs
find "$group" -depth -type d -exec rmdir {} + || true
'

machine_boot() {
  local deadline=$((SECONDS + 60)) state nspawn
  rm -f "$machine/nspawn.pid"
  setsid unshare --mount --propagation private bash -c "$machine_inside" inside "$machine" &
  container=$!
  leader=
  until [[ -n $leader ]]; do
    ((SECONDS < deadline)) || die "no container: $(tail -n 5 "$machine/console")"
    kill -0 "$container" 2>/dev/null || die "the container ended: $(tail -n 5 "$machine/console")"
    sleep 0.1
    [[ -s $machine/nspawn.pid ]] || continue
    nspawn=$(<"$machine/nspawn.pid")
    leader=$(pgrep --parent "$nspawn" --exact systemd || true)
  done
  until state=$(inside systemctl is-system-running 2>/dev/null) || [[ $state == degraded ]]; do
    ((SECONDS < deadline)) || die "not booted: '$state'; $(tail -n 5 "$machine/console")"
    sleep 0.1
  done
}

# Runs a program in the machine as its root.
inside() {
  nsenter --target "$leader" --all -- \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

machine_off() {
  inside systemctl poweroff 2>/dev/null || true
  machine_gone
}

# All of it at once: whatever runs in it gets no signal that it could act on, and systemd stops nothing.
machine_crash() {
  kill -KILL "$leader"
  machine_gone
}

machine_gone() {
  local deadline=$((SECONDS + 60))
  while kill -0 "$container" 2>/dev/null; do
    ((SECONDS < deadline)) || die "does not power off"
    sleep 0.1
  done
  wait "$container" || true
  container=
  leader=
}

machine_remove() {
  local nspawn
  [[ -n $machine ]] || return 0
  if [[ ${keep:-no} == yes && -n $container ]]; then
    printf 'kept, running: nsenter --target %s --all; files in %s\n' "$leader" "$machine"
    machine=
    return 0
  fi
  if [[ -n $container ]] && kill -0 "$container" 2>/dev/null; then
    # The first process of a container takes everything in it along.
    nspawn=$(cat "$machine/nspawn.pid" 2>/dev/null || true)
    [[ -z $leader ]] || kill -KILL "$leader" 2>/dev/null || true
    [[ -z $nspawn ]] || kill -TERM "$nspawn" 2>/dev/null || true
    wait "$container" 2>/dev/null || true
  fi
  container=
  leader=
  rm -rf --one-file-system "$machine"
  machine=
}
