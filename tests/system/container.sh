# shellcheck shell=bash
# A machine as a container: its root on a tmpfs, systemd its first process, this host's kernel. Booted in a second. What
# needs a kernel, a disk or a TPM of its own is in virtual.sh. Sourced by ./run.

readonly container_packages=systemd,systemd-sysv,dbus,python3,openssl,ca-certificates,procps

container_begin() {
  packages=$container_packages
  patience=1
}

# In a mount namespace of its own with a cgroup2 tree of its own, whatever the host has. The capabilities and system
# calls are those that a machine has and nspawn takes away: without them secret memory, Landlock and seccomp fail.
# shellcheck disable=SC2016 # the inner shell expands
readonly container_outside='
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

container_start() {
  rm -f "$machine/nspawn.pid"
  setsid unshare --mount --propagation private bash -c "$container_outside" outside "$machine" &
  holder=$!
}

# Its first process, which is there some moments after the container.
container_find_leader() {
  [[ -s $machine/nspawn.pid ]] || return 0
  leader=$(pgrep --parent "$(<"$machine/nspawn.pid")" --exact systemd || true)
}

container_inside() { nsenter --target "$leader" --all -- "$@"; }

container_entrance() { printf 'nsenter --target %s --all' "$leader"; }

container_ended() { :; }

# The first process of a container takes everything in it along.
container_kill() {
  local nspawn
  nspawn=$(cat "$machine/nspawn.pid" 2>/dev/null || true)
  [[ -z $leader ]] || kill -KILL "$leader" 2>/dev/null || true
  [[ -z $nspawn ]] || kill -TERM "$nspawn" 2>/dev/null || true
}
