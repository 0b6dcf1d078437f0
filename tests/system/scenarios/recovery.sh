# shellcheck shell=bash
# Killed, frozen, rebooted, and the whole machine lost at once: service comes back by itself, and what was sealed opens.

scenario_recovery() {
  installed_and_in_use
  mends_itself
  freezes
  a_rebooted_machine_serves_again_by_itself
  a_machine_that_was_lost_at_once_serves_again_and_nothing_is_missing
}

# Killed one by one and all at once, all is well again within seconds and by itself.
mends_itself() {
  local daemon pids=()
  for daemon in "${daemons[@]}"; do
    inside kill -KILL "$(show "$daemon" MainPID)"
    check "service is back after $daemon was killed" within 15 works
  done
  for daemon in "${daemons[@]}"; do
    pids+=("$(show "$daemon" MainPID)")
  done
  inside kill -KILL "${pids[@]}"
  check "service is back after all were killed" within 15 works
}

# Alive and doing nothing is found out by the watchdog, which is made less patient for this.
freezes() {
  local daemon pid
  for daemon in "${daemons[@]}"; do
    inside sh -c "mkdir -p /run/systemd/system/$daemon.service.d
      printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/$daemon.service.d/watchdog.conf"
  done
  inside systemctl daemon-reload
  inside systemctl restart "${daemons[@]}"
  check "service is back after a restart of all" within 15 works
  for daemon in "${daemons[@]}"; do
    pid=$(show "$daemon" MainPID)
    inside kill -STOP "$pid"
    check "the watchdog ends a frozen $daemon" within 20 inside sh -c "! kill -0 $pid"
    check "and service is back" within 15 works
  done
  inside rm -r /run/systemd/system/chancel-{keyd,policyd,gateway}.service.d
  inside systemctl daemon-reload
  inside systemctl restart "${daemons[@]}"
  check "service is back after another restart" within 15 works
}

all_is_back() {
  check "service is back, and what was sealed before opens" within 20 works
  for unit in chancel-keyd.socket "${daemons[@]}"; do
    check "$unit is active" inside systemctl is-active "$unit"
  done
  check "no unit failed" no_unit_failed
  check_equal "no daemon was started twice" "0 0 0" \
    "$(inside systemctl show --property=NRestarts --value "${daemons[@]}" | xargs)"
}

a_rebooted_machine_serves_again_by_itself() {
  local before
  before=$(inside sh -c 'sha256sum /etc/chancel/credentials/* /etc/chancel/tls/*')
  machine_off
  machine_boot
  all_is_back
  check_equal "secrets and certificate are those of before" "$before" \
    "$(inside sh -c 'sha256sum /etc/chancel/credentials/* /etc/chancel/tls/*')"
  check "the ledgers are sound and agree" ledgers_are_sound
}

# In the middle of work. What the disk did not get is not lost here, as it is in a power failure: this is about what no
# process got to do.
a_machine_that_was_lost_at_once_serves_again_and_nothing_is_missing() {
  local last
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'python3 /srv/call.py "$1" /srv/api-key work /srv/worked >/dev/null 2>&1 &' sh "$url"
  check "a client is at work" within 10 inside test -s /srv/worked
  sleep 1
  machine_crash
  last=$(tail -n 1 "$machine/root/srv/worked")
  note "answered before the end: ${last% *} requests"
  machine_boot
  all_is_back
  check "the ledgers are sound and agree" ledgers_are_sound
  check "the last request that was answered is in the ledger of uses" \
    inside grep --quiet --recursive --fixed-strings "${last#* }" /srv/audit/uses
}
