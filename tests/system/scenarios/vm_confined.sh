# shellcheck shell=bash
# Installed on a machine with a kernel of its own: what a container cannot show. The units' limits on memory and tasks,
# AppArmor, secret memory; and that all the rest works there as well.

scenario_vm_confined() {
  installed
  in_use
  the_kernel_does_what_the_daemons_ask_of_it
  a_daemon_does_not_start_without_its_profile_where_that_is_asked
  exposes_little
  keyd_has_no_network_but_its_socket
  a_stopped_keyd_is_started_by_who_calls
  no_unit_takes_more_memory_than_it_may
  no_unit_starts_more_tasks_than_it_may
  the_unmodified_python_sdk_and_its_command_work_over_tls
}

the_kernel_does_what_the_daemons_ask_of_it() {
  local daemon said abi
  check_equal "keyd's keys are in secret memory" memfd_secret \
    "$(inside chancel status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["keyd"]["secret_memory"])')"
  said=$(inside chancel doctor) || wrong "chancel doctor: $said"
  for what in landlock seccomp "secret memory" swap limits; do
    check "chancel doctor finds $what well" grep --quiet "^ok *$what" <<<"$said"
  done
  abi=$(sed -n 's/^ok *landlock *offered, ABI //p' <<<"$said")
  check_equal "keyd wrote down that seccomp holds all its threads" "all threads" "$(started_with seccomp)"
  check_equal "and that Landlock guards truncation, where this kernel's does" "$(since_abi 3)" \
    "$(started_with landlock_truncate)"
  check_equal "and TCP" "$(since_abi 4)" "$(started_with landlock_tcp)"
  for daemon in "${daemons[@]}"; do
    check_contains "and $daemon in its sandbox" "$daemon.service: system calls filtered, no capabilities" "$said"
    check_equal "$daemon is in its AppArmor profile" "$daemon (enforce)" \
      "$(inside cat "/proc/$(show "$daemon" MainPID)/attr/current")"
  done
  check_not "and they are denied nothing that they do of their own accord" something_was_denied
}

something_was_denied() {
  inside sh -c "journalctl --no-pager --dmesg | grep 'apparmor=\"DENIED\".*profile=\"chancel'"
}

a_daemon_does_not_start_without_its_profile_where_that_is_asked() {
  drop_in apparmor.conf
  check "with the drop-in the gateway starts in its profile" inside systemctl restart chancel-gateway
  inside apparmor_parser --remove /etc/apparmor.d/chancel-gateway
  check_not "and does not start without" inside systemctl restart chancel-gateway
  inside apparmor_parser --replace /etc/apparmor.d/chancel-gateway
  inside rm -r /etc/systemd/system/chancel-gateway.service.d
  inside systemctl daemon-reload
  check "it starts again" inside systemctl restart chancel-gateway
  check "and serves" within 15 works
}

since_abi() { # NUMBER
  if ((abi >= $1)); then echo true; else echo false; fi
}

# From the record of keyd's first start.
started_with() { # NAME
  inside grep --max-count=1 '"kind":"start"' /var/lib/chancel-keyd/ledger/0000000001.jsonl |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["details"][sys.argv[1]])' "$1"
}

keyd_has_no_network_but_its_socket() {
  cc -std=gnu11 -O1 -static -o "$machine/probe" "$here/probe.c"
  bring probe "$machine/probe"
  in_place_of chancel-keyd
  check "AppArmor denies what keyd does not do of its own accord" something_was_denied
  check_equal "keyd has no interface but its own loopback" lo \
    "$(inside cat "/proc/$(show chancel-keyd MainPID)/net/dev" | awk -F : 'NR > 2 { print $1 }' | xargs)"
  check_equal "keyd opens sockets of one kind" done "$(found_by chancel-keyd socket-unix)"
  for family in inet inet-udp inet6 inet-raw netlink vsock packet alg; do
    check_contains "and none of $family" "$(found_by chancel-keyd "socket-$family")" "EAFNOSUPPORT EPERM EACCES"
  done
}

a_stopped_keyd_is_started_by_who_calls() {
  inside systemctl stop chancel-keyd
  check "keyd's socket stays when keyd is stopped" inside systemctl is-active chancel-keyd.socket
  check "and who calls starts it" within 15 works
  check "keyd is active" inside systemctl is-active chancel-keyd
}

# What somebody gets who is in the unit's group, as the daemon's own threads are.
take() { # GROUP WHAT HOW-MUCH
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'python3 /srv/limits.py "$@"; echo "ended with $?"' sh "$@" 2>&1
}

no_unit_takes_more_memory_than_it_may() {
  local daemon most said got
  bring limits.py
  check_contains "outside of the units there is more memory than any of them may have" "1400
ended with 0" "$(take /sys/fs/cgroup memory 1400)"
  for daemon in "${daemons[@]}"; do
    most=$(($(show "$daemon" MemoryMax) >> 20))
    said=$(take "/sys/fs/cgroup/system.slice/$daemon.service" memory 1400)
    check_contains "in $daemon, what takes more memory than $most MiB is killed" "ended with 137" "$said"
    got=$(grep --extended-regexp '^[0-9]+$' <<<"$said" | tail -n 1)
    check "at its limit: it got $got MiB" test "$got" -le "$most" -a "$got" -gt $((most - 128))
    check "that was the unit's limit" within 15 inside sh -c \
      "journalctl --no-pager --unit $daemon | grep --quiet \"Failed with result 'oom-kill'\""
    check "and $daemon is back" within 15 works
  done
}

no_unit_starts_more_tasks_than_it_may() {
  local daemon most
  check_equal "outside of the units there are more tasks than any of them may have" "400 all
ended with 0" "$(take /sys/fs/cgroup tasks 400)"
  for daemon in "${daemons[@]}"; do
    most=$(show "$daemon" TasksMax)
    check_equal "in $daemon, there is no task beyond the $most that it may have" "$most EAGAIN
ended with 0" "$(take "/sys/fs/cgroup/system.slice/$daemon.service" tasks 400)"
    check "and $daemon serves" within 15 works
  done
}
