# shellcheck shell=bash
# The power fails in the middle of work, and the disk forgets what it was not told to keep: whatever a client had been
# answered before is there. recovery.sh loses processes; this loses what a kernel and a disk had in memory.

before_boot_vm_power() {
  installed_in_image
  # By default the last milliseconds of the ledgers may go (SECURITY.md, U-10).
  sed -i 's/^#sync = .*/sync = "every-record"/' "$machine"/root/etc/chancel/{keyd,policyd}.toml
  check_equal "both ledgers wait for the disk" 2 \
    "$(cat "$machine"/root/etc/chancel/{keyd,policyd}.toml | grep --count '^sync = "every-record"$')"
}

scenario_vm_power() {
  started_by_themselves
  in_use
  clients_are_given_what_they_need
  the_power_fails_while_clients_are_at_work
  a_machine_whose_power_failed_serves_again_by_itself
  every_key_that_was_made_opens_what_it_sealed
  every_request_that_was_answered_is_in_the_ledgers
  what_was_not_flushed_is_lost
}

# The clients are outside of the machine: they know what they were answered.
the_power_fails_while_clients_are_at_work() {
  local load grow
  as_client "$machine/chain.pem" python3 "$here/load.py" "$url" "$machine/api-key" "$machine/load" 2>"$machine/load.log" &
  load=$!
  as_client "$machine/chain.pem" python3 "$here/call.py" "$url" "$machine/api-key" grow "$machine/grown" &
  grow=$!
  check "a hundred requests are answered" within 60 has_lines 100 "$machine/load.answered"
  check "and keys are made" within 60 has_lines 10 "$machine/grown"
  machine_crash
  touch "$machine/load.stop"
  wait "$load" || wrong "load: $(<"$machine/load.log")"
  wait "$grow" || wrong "another answer than an end"
  note "answered before the end: $(wc -l <"$machine/load.answered") requests, $(wc -l <"$machine/grown") keys"
}

has_lines() { # NUMBER FILE
  (($(wc -l <"$2") >= $1))
}

a_machine_whose_power_failed_serves_again_by_itself() {
  note "the disk lost $virtual_lost writes"
  machine_boot
  all_is_back
  check "the ledgers are sound and agree" ledgers_are_sound
}

every_key_that_was_made_opens_what_it_sealed() {
  bring grown "$machine/grown"
  # An emulated machine may be too slow for a request, which then hears 503; a key that is lost stays so.
  check "each key that was made opens what it sealed" within 30 each_opens
}

each_opens() { [[ $(call open-each /srv/grown) == "$(wc -l <"$machine/grown")" ]]; }

every_request_that_was_answered_is_in_the_ledgers() {
  inside sh -c 'cat /srv/audit/decisions/*' >"$machine/decisions"
  inside sh -c 'cat /srv/audit/uses/*' >"$machine/uses"
  recorded_in "$machine/decisions" '.'
  recorded_in "$machine/uses" '/(decrypt|sign) '
}

recorded_in() { # LEDGER PATHS
  grep --extended-regexp "$2" "$machine/load.answered" | cut -d ' ' -f 2 | sort >"$machine/answered"
  check "some were answered that ${1##*/} must know" test -s "$machine/answered"
  check_equal "each of them is in the ledger of ${1##*/}" "" \
    "$(grep --only-matching --fixed-strings --file="$machine/answered" "$1" | sort -u | comm -13 - "$machine/answered")"
}

# Otherwise the checks above would say nothing. With the daemons stopped, and nothing written because time passes: what they
# flush can take along what others wrote.
what_was_not_flushed_is_lost() {
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside sh -c 'echo 0 >/proc/sys/vm/dirty_writeback_centisecs
    echo kept >/srv/flushed && sync /srv/flushed && echo lost >/srv/unflushed'
  machine_crash
  # As the kernel would at the next boot: what is in the journal counts. It says 1 when it had something to do.
  e2fsck -fy "$machine/disk" >"$machine/e2fsck" 2>&1 || (($? == 1)) || wrong "the disk: $(<"$machine/e2fsck")"
  check_equal "what was flushed is on the disk" kept "$(debugfs -R 'cat /srv/flushed' "$machine/disk" 2>/dev/null)"
  check_not "what was not is lost" grep --quiet lost <(debugfs -R 'cat /srv/unflushed' "$machine/disk" 2>/dev/null)
}
