# shellcheck shell=bash
# What each unit lets its process do, were the daemon in an attacker's hands and its own sandbox gone: a probe takes the
# program's place, systemd starts it with all that the unit says, and it tries. The same probe without the unit shows
# that each try can succeed.

# What is tried, what comes of it in keyd's, policyd's and the gateway's unit, and outside of any.
#   done      it works
#   refused   by permission, a read-only mount or a filter
#   absent    there is no such thing to be seen
#   -         a container refuses that to everybody, in its own way
readonly expected='
read-/etc/shadow                                              refused refused refused done
read-/root/secret                                             refused refused refused done
read-/home/olga/secret                                        refused refused refused done
read-/srv/api-key                                             refused refused refused done
read-/etc/chancel/credentials/sealed-by                       refused refused refused done
read-/etc/chancel/credentials/kek.cred                        refused refused refused done
read-/var/lib/systemd/credential.secret                       refused refused refused done
read-/run/credentials/chancel-keyd.service/kek                done    absent  absent  done
read-/run/credentials/chancel-policyd.service/api-key-secret  absent  done    absent  done
read-/run/credentials/chancel-gateway.service/gateway-keyd    absent  absent  done    done
read-/var/lib/chancel-keyd/keys/audit.key                     done    refused refused done
read-/var/lib/chancel-policyd/chancel.db                      refused done    refused done
read-/var/lib/chancel-policyd/ledger/0000000001.jsonl         refused done    refused done
read-/run/chancel-tls/key.pem                                 refused refused done    done
read-/proc/1/environ                                          absent  absent  absent  done
read-/proc/kallsyms                                           absent  absent  absent  done
read-/proc/kmsg                                               absent  absent  absent  -
read-/dev/mem                                                 absent  absent  absent  -
read-/dev/kmsg                                                absent  absent  absent  -
read-/dev/sda                                                 absent  absent  absent  -
write-/proc/sys/kernel/core_pattern                           absent  absent  absent  -
write-/proc/sys/kernel/domainname                             absent  absent  absent  -
write-/proc/sysrq-trigger                                     absent  absent  absent  -
write-/sys/fs/cgroup/cgroup.procs                             refused refused refused done
write-/sys/kernel/mm/ksm/run                                  refused refused refused -
socket-unix                                                   done    done    done    done
socket-inet                                                   refused refused done    done
socket-inet-udp                                               refused refused done    done
socket-inet6                                                  refused refused done    done
socket-inet-raw                                               refused refused refused done
socket-netlink                                                refused refused refused done
socket-vsock                                                  refused refused refused done
socket-packet                                                 refused refused refused done
socket-alg                                                    refused refused refused -
exec-/bin/sh                                                  refused refused refused done
exec-/usr/bin/env                                             refused refused refused done
exec-what-it-wrote-in-own                                     refused refused refused done
exec-what-it-wrote-in-/tmp                                    refused refused refused done
exec-what-it-wrote-in-/var/tmp                                refused refused refused done
exec-what-it-wrote-in-/dev/shm                                refused refused refused done
exec-what-it-wrote-in-/run/lock                               refused refused refused -
map-writable-and-executable                                   refused refused refused done
make-executable-what-it-wrote                                 refused refused refused done
map-shared-memory-executable                                  refused refused refused done
trace-first-process                                           refused refused refused done
trace-itself                                                  refused refused refused done
read-memory-of-first-process                                  refused refused refused done
signal-first-process                                          refused refused refused done
unshare-user                                                  refused refused refused done
unshare-mount                                                 refused refused refused done
unshare-network                                               refused refused refused done
unshare-pid                                                   refused refused refused done
clone-into-user-namespace                                     refused refused refused done
mount                                                         refused refused refused done
remount-/usr                                                  refused refused refused -
unmount-/home                                                 refused refused refused -
chroot                                                        refused refused refused done
kexec                                                         refused refused refused -
load-module                                                   refused refused refused -
reboot                                                        refused refused refused -
setuid-root                                                   refused refused refused done
setgroups                                                     refused refused refused done
make-setuid-file                                              refused refused refused done
make-device                                                   refused refused refused done
keyring                                                       refused refused refused done
performance-event                                             refused refused refused done
bpf                                                           refused refused refused done
io-uring                                                      refused refused refused done
userfaultfd                                                   refused refused refused done
open-by-handle                                                refused refused refused done
personality                                                   refused refused refused done
real-time                                                     refused refused refused done
host-name                                                     refused refused refused done
clock                                                         refused refused refused done
old-system-call                                               refused refused refused done
core-limit                                                    refused refused refused done
exec-from-memory                                              done    refused done    done
'
# The last line is where the units of keyd and the gateway end: their log needs files in memory for long records, and
# systemd has no word for not executing those. Their own filters have no execve: sandbox::keyd_that_runs_a_program_is_killed.

scenario_confinement() {
  local daemon
  installed_and_in_use
  exposes_little
  things_worth_reading
  inside /srv/probe >"$machine/said-outside"
  check "the probe has tried everything outside of a unit" grep --quiet '^end$' "$machine/said-outside"
  for daemon in "${daemons[@]}"; do
    in_place_of "$daemon"
  done
  comes_of_it chancel-keyd 1
  comes_of_it chancel-policyd 2
  comes_of_it chancel-gateway 3
  comes_of_it outside 4
  the_probe_outside_finds_what_units_hide
  daemons_write_nowhere_but_in_their_own_places
  daemons_execute_nothing_but_themselves
  daemons_see_no_process_device_or_network_of_others
}

# In tenths, as systemd-analyze takes them: what each may expose at most.
exposes_little() {
  local daemon
  local -A most=(["chancel-keyd"]=6 ["chancel-policyd"]=6 ["chancel-gateway"]=15)
  for daemon in "${daemons[@]}"; do
    check "$daemon exposes no more than ${most[$daemon]} tenths" \
      inside systemd-analyze security --no-pager --threshold="${most[$daemon]}" "$daemon.service"
    note "$(inside systemd-analyze security --no-pager "$daemon.service" | tail -n 1 | tr -d '→' | xargs)"
    check_equal "$daemon has no privileges" "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2" \
      "$(inside grep -E '^(CapBnd|NoNewPrivs|Seccomp):' "/proc/$(show "$daemon" MainPID)/status" | xargs)"
  done
  for daemon in chancel-keyd chancel-policyd; do
    check_not "$daemon has a network of its own" test "$(inside readlink /proc/1/ns/net)" = \
      "$(inside readlink "/proc/$(show "$daemon" MainPID)/ns/net")"
  done
}

# Open to all by their permissions, as the daemons' neighbours would leave them; and a network that is not loopback.
things_worth_reading() {
  cc -std=gnu11 -O1 -static -o "$machine/probe" "$here/probe.c"
  bring probe "$machine/probe"
  inside chmod 755 /srv/probe
  inside useradd --create-home olga
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'for file in /home/olga/secret /root/secret; do echo secret >$file; chmod 644 $file; done
    chmod 755 /home/olga /root'
  nsenter --target "$leader" --net ip link add outside type veth peer name outside-peer
}

# With everything that systemd does for the daemon, but as something that ends. What has ended counts as active, or keyd's
# socket would start it again.
in_place_of() { # DAEMON
  local drop_in=/run/systemd/system/$1.service.d
  inside cp --preserve "/usr/sbin/$1" "/srv/$1"
  inside sh -c "mkdir -p $drop_in
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nRestart=no\nStandardOutput=file:/srv/said\n' >$drop_in/probe.conf"
  inside systemctl daemon-reload
  inside systemctl stop "$1" 2>/dev/null
  inside cp /srv/probe "/usr/sbin/$1"
  check "the probe ran in place of $1" inside systemctl start "$1"
  inside cat /srv/said >"$machine/said-$1"
  inside rm /srv/said
  check "and has tried everything" grep --quiet '^end$' "$machine/said-$1"
  inside cp --preserve "/srv/$1" "/usr/sbin/$1"
  inside rm -r "$drop_in"
  inside systemctl daemon-reload
  inside systemctl restart "$1"
  check "$1 serves again" within 15 works
}

comes_of_it() { # DAEMON COLUMN
  local what columns found kind
  while read -r -a columns; do
    ((${#columns[@]} == 5)) || continue
    what=${columns[0]}
    [[ ${columns[$2]} != - ]] || continue
    found=$(found_by "$1" "$what")
    case $found in
      done) kind=done ;;
      EPERM | EACCES | EROFS | EAFNOSUPPORT | SIGSYS) kind=refused ;;
      ENOENT) kind=absent ;;
      *) kind="'$found'" ;;
    esac
    check_equal "$1: $what is ${columns[$2]}" "${columns[$2]}" "$kind"
  done <<<"$expected"
}

# Paths of a kind that a probe found.
found_by() { # DAEMON KIND
  sed -n "s|^$2: ||p" "$machine/said-$1"
}

# What of standard input does not match, on one line.
but_not() { # PATTERN
  { grep -v -E "$1" || true; } | sort | xargs
}

the_probe_outside_finds_what_units_hide() {
  check "hundreds of directories to write to" test "$(found_by outside directory-writable | wc -l)" -gt 300
  check "hundreds of programs" test "$(found_by outside file-executable | wc -l)" -gt 300
  check "processes of others" test "$(found_by outside other-processes)" -gt 3
  check_contains "a network" outside "$(found_by outside interface)"
}

daemons_write_nowhere_but_in_their_own_places() {
  local daemon own
  # /tmp and /var/tmp are of the unit alone.
  local -A places=(["chancel-keyd"]='/var/lib/chancel-keyd' ["chancel-policyd"]='/(var/lib|run)/chancel-policyd'
    ["chancel-gateway"]='/run/chancel-gateway')
  for daemon in "${daemons[@]}"; do
    own=${places[$daemon]}
    check "$daemon writes to a directory of its own" \
      grep --quiet -E "^directory-writable: $own$" "$machine/said-$daemon"
    check_equal "$daemon writes to no other directory" "/tmp /var/tmp" \
      "$(found_by "$daemon" directory-writable | but_not "^$own(/|$)")"
    check_equal "$daemon writes to no other's file" "" \
      "$(found_by "$daemon" file-writable | but_not "^$own/")"
  done
}

daemons_execute_nothing_but_themselves() {
  local daemon
  for daemon in "${daemons[@]}"; do
    # Libraries, and scripts that would need a shell; the loader starts no file that is not executable itself.
    check_equal "$daemon executes itself alone" "/usr/sbin/$daemon" \
      "$(found_by "$daemon" file-executable | but_not '^/usr/lib/x86_64-linux-gnu/')"
    check_equal "and no program lies among the libraries" "" \
      "$(programs_among "$(found_by "$daemon" file-executable | grep '^/usr/lib/x86_64-linux-gnu/')")"
  done
}

# Whatever is no library and no script.
programs_among() { # PATHS
  local path
  for path in $1; do
    case $(head -c 2 "$machine/root$path"):$path in
      '#!':* | *:*.so | *:*.so.*) ;;
      *) printf '%s ' "$path" ;;
    esac
  done
}

daemons_see_no_process_device_or_network_of_others() {
  local daemon
  for daemon in "${daemons[@]}"; do
    check_equal "$daemon sees no other process" 0 "$(found_by "$daemon" other-processes)"
    check_equal "$daemon has no device but those that are nobody's" \
      "/dev/full /dev/null /dev/pts/ptmx /dev/random /dev/tty /dev/urandom /dev/zero" \
      "$(found_by "$daemon" device | but_not '^/run/host/')"
  done
  for daemon in chancel-keyd chancel-policyd; do
    check_equal "$daemon has no network" lo "$(found_by "$daemon" interface | xargs)"
  done
}
