# shellcheck shell=bash
# From the packages before these to these, while clients ask without pause; and back only where nothing on the disk is too
# new for what would come.

# Before the machine is booted, so that the first installation finds the earlier packages alone.
before_boot_upgrade() {
  local earlier
  earlier=$(earlier_packages)
  if [[ -z $earlier ]]; then
    note "SKIPPED: upgrading from ${earlier_commit:0:7}, which this clone does not have; these packages stand in for them"
    earlier=$debs
  fi
  mkdir "$machine/these"
  mv "$machine"/root/srv/repository/pool/*.deb "$machine/these/"
  machine_repack "$earlier" '~earlier'
}

scenario_upgrade() {
  installed_and_in_use
  an_upgrade_loses_no_answer
  an_upgrade_keeps_what_there_was_and_restarts_in_order
  going_back_below_the_oldest_reader_is_refused
  going_back_to_a_version_that_can_read_all_is_allowed
  a_version_that_cannot_read_the_database_is_not_installed
}

version() {
  # shellcheck disable=SC2016 # dpkg-query's variable
  inside dpkg-query --show --showformat='${Version}\n' chancel chancel-gateway chancel-keyd chancel-policyd \
    chancel-server | sort -u | xargs
}

# What two daemons' restarts take at most, in ms, for requests to wait instead of failing: these wait 700.
readonly soon=500

# The first is from the earlier packages. One that took long, on a busy machine, says nothing of what shorter ones must not
# lose, so there are some more.
an_upgrade_loses_no_answer() {
  local number result was_short=no
  check_contains "the earlier packages are installed" '~earlier' "$(version)"
  before=$(inside sh -c 'sha256sum /etc/chancel/credentials/*.cred /etc/chancel/credentials/sealed-by /etc/chancel/tls/*')
  inside sh -c 'echo "# of the operator" >>/etc/chancel/keyd.toml'
  bring load.py
  cp "$machine"/these/*.deb "$machine/root/srv/repository/pool/"
  machine_index
  upgraded_under_load
  # From this version on, its own units are at work at both ends.
  for number in 1 2 3; do
    machine_repack "$machine/these" "+more$number"
    upgraded_under_load
    check_equal "while the gateway was started anew, connections waited" 0 "$(came "$result" refused)"
    [[ $was_short == no ]] || break
  done
  [[ $was_short == yes ]] ||
    note "NOT SHOWN: no upgrade restarted the daemons within $soon ms, so none shows that no request hears 503"
}

# Leaves what became of the requests in $result, and in $was_short whether the daemons were away for shorter than requests
# wait.
upgraded_under_load() {
  local said daemon what took
  apt_ update >/dev/null
  rm -f "$machine"/root/srv/load "$machine"/root/srv/load.{begun,stop}
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'python3 /srv/load.py "$1" /srv/api-key /srv/load >/srv/load.log 2>&1 &' sh "$url"
  check "clients are at work" within 10 inside test -e /srv/load.begun
  sleep 1
  said=$(apt_ upgrade) || wrong "upgrade: $said"
  sleep 1
  touch "$machine/root/srv/load.stop"
  check "clients have ended" within 20 inside test -s /srv/load
  result=$(<"$machine/root/srv/load")
  was_short=yes
  for daemon in "${daemons[@]}"; do
    took=$((($(show "$daemon" ActiveEnterTimestampMonotonic) - $(show "$daemon" ActiveExitTimestampMonotonic)) / 1000))
    note "$daemon restarted in $took ms"
    [[ $daemon == chancel-gateway ]] || ((took <= soon)) || was_short=no
  done
  note "$(member counts <<<"$result"); refused for $(member nobody_listened_ms <<<"$result") ms"
  check "hundreds of requests were answered" test "$(came "$result" answered)" -gt 300
  for what in cut timeout wrong 500; do
    check_equal "no request came to '$what'" 0 "$(came "$result" "$what")"
  done
  if [[ $was_short == yes ]]; then
    check_equal "no request heard 503" 0 "$(came "$result" 503)"
  fi
  # A client may have connected in the moment in which the gateway stopped listening, or have sent over a connection that
  # stood idle until then: once each.
  check "no more than one connection of each client was closed before an answer began" \
    test $(($(came "$result" unanswered) + $(came "$result" unconnected) + $(came "$result" idle-closed))) -le 4
  check_equal "and there is nothing else but refused connections" "" "$(came "$result" others)"
  check "the gateway was away for less than three seconds" test "$(member nobody_listened_ms <<<"$result")" -lt 3000
}

# How many requests came to that; for `others`, what else there is.
came() { # RESULT WHAT
  python3 -c '
import json, sys
counts = json.loads(sys.argv[1])["counts"]
known = {"answered", "refused", "unconnected", "unanswered", "idle-closed", "503"}
if sys.argv[2] == "others":
    print(*(name for name in counts if name not in known))
else:
    print(counts.get(sys.argv[2], 0))' "$1" "$2"
}

an_upgrade_keeps_what_there_was_and_restarts_in_order() {
  local before_start after unit
  check_not "all packages are these" grep --quiet earlier <<<"$(version)"
  after=0
  for unit in "${daemons[@]}"; do
    before_start=$after
    after=$(show "$unit" ExecMainStartTimestampMonotonic)
    check "$unit was restarted after the one before it" test "$after" -gt "$before_start"
  done
  check_equal "secrets and certificate are the same" "$before" \
    "$(inside sh -c 'sha256sum /etc/chancel/credentials/*.cred /etc/chancel/credentials/sealed-by /etc/chancel/tls/*')"
  check "what the operator wrote is kept" inside grep --quiet 'of the operator' /etc/chancel/keyd.toml
  check "what was sealed before is opened" works
  check "no unit failed" no_unit_failed
  check "the ledgers are sound across it" ledgers_are_sound
}

# All of them at once, as an operator would who wants to go back.
install_version() { # VERSION
  apt_ install --allow-downgrades chancel{,-keyd,-policyd,-gateway,-server}="$1"
}

is_unharmed() { # VERSION
  check_equal "all packages are still those of $1" "$1" "$(version)"
  check_equal "and whole" "" "$(inside dpkg --audit)"
  check "service goes on" within 15 works
  check "no unit failed" no_unit_failed
}

going_back_below_the_oldest_reader_is_refused() {
  local now base said
  now=$(version)
  # Of a tree with changes, too.
  base=${now%+*}
  # Of the same build, and of a version before what packaging/deb/oldest-reader says.
  machine_repack "$machine/these" '~older'
  apt_ update >/dev/null
  if said=$(install_version "$base~older"); then
    wrong "a downgrade below the oldest reader: $said"
  fi
  check_contains "going back below the oldest reader is refused, with the reason" \
    "chancel: refused: version $base~older cannot read what this one has written" "$said"
  is_unharmed "$now"
}

going_back_to_a_version_that_can_read_all_is_allowed() {
  local now these
  now=$(version)
  these=$(dpkg-deb --field "$machine"/these/chancel_*.deb Version)
  machine_repack "$machine/these" '+newer'
  apt_ update >/dev/null
  check "upgraded once more" install_version "${now%+*}+newer"
  check "and back" install_version "$these"
  is_unharmed "$these"
}

# Whatever brought it there: a backup, or a package that was removed first.
a_version_that_cannot_read_the_database_is_not_installed() {
  local now said
  now=$(version)
  schema 9999
  if said=$(install_version "${now%+*}+newer"); then
    wrong "installed over a database that it cannot read: $said"
  fi
  check_contains "a version that cannot read the database is not installed, with the reason" \
    "chancel: refused: /var/lib/chancel-policyd/chancel.db has schema 9999" "$said"
  schema "$schema_before"
  is_unharmed "$now"
}

# Another number in the database's file; the one before is in schema_before.
schema() { # NUMBER
  schema_before=$(inside python3 - /var/lib/chancel-policyd/chancel.db "$1" <<'PY'
import sys

with open(sys.argv[1], "r+b") as file:
    file.seek(60)
    print(int.from_bytes(file.read(4), "big"))
    file.seek(60)
    file.write(int(sys.argv[2]).to_bytes(4, "big"))
PY
  )
}
