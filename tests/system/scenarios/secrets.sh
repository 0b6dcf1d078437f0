# shellcheck shell=bash
# The script that makes and seals secrets, and what it refuses: nobody holds it up, and no slip of the hand costs a key.

scenario_secrets() {
  installed_and_in_use
  inside useradd stranger
  a_stranger_holds_up_no_start
  what_cannot_be_a_secret_is_not_sealed
  a_key_that_is_needed_is_not_replaced_by_chance
  a_lost_key_is_not_made_anew_where_its_keys_are_out_of_sight
  sealing_again_leaves_all_open_wherever_it_ends
  what_does_not_open_any_more_is_sealed_again_from_a_backup
}

readonly sealed_directory=/etc/chancel/credentials

credentials() { inside /usr/libexec/chancel/credentials "$@"; }
sealed_files() { inside sh -c "cd $sealed_directory && sha256sum *"; }

# Of what they hold, and not of what they are sealed in.
secrets_held() {
  local name
  for name in kek gateway-keyd policyd-keyd gateway-policyd api-key-secret tls-key; do
    credentials unseal "$name" | sha256sum
  done
}

another_secret() { head -c 32 /dev/urandom >"$machine/root/srv/another"; }

a_stranger_holds_up_no_start() {
  local said
  inside systemd-run --quiet --unit=holds --uid=stranger flock $sealed_directory sleep infinity
  check "a stranger has locked what it can open" within 10 inside sh -c "! flock --nonblock $sealed_directory true"
  check "secrets are made all the same" inside timeout 25 /usr/libexec/chancel/credentials make
  check "and a start needs nobody's leave" inside timeout 60 systemctl restart chancel-credentials chancel-keyd
  check_not "the lock itself is root's alone" inside runuser -u stranger -- flock --nonblock $sealed_directory/.lock true
  inside systemctl stop holds
  inside systemd-run --quiet --unit=holds flock $sealed_directory/.lock sleep infinity
  check "root has locked it" within 10 inside sh -c "! flock --nonblock $sealed_directory/.lock true"
  if said=$(credentials make 2>&1); then
    wrong "made although it is locked: $said"
  fi
  check_contains "who waits is told what for, after a while" "is held by another process" "$said"
  inside systemctl stop holds
}

what_cannot_be_a_secret_is_not_sealed() {
  local before name
  before=$(sealed_files)
  for name in kek api-key-secret gateway-keyd; do
    check_not "$name of 31 bytes" inside sh -c "head -c 31 /dev/urandom | /usr/libexec/chancel/credentials seal $name"
    check_not "$name of none, as at the end of a pipe that failed" \
      inside sh -c "/usr/libexec/chancel/credentials seal --replace $name </dev/null"
  done
  check_not "an empty TLS key" inside sh -c '/usr/libexec/chancel/credentials seal tls-key </dev/null'
  check_not "a name that there is not" inside sh -c 'head -c 32 /dev/urandom | /usr/libexec/chancel/credentials seal kke'
  check_equal "nothing was changed" "$before" "$(sealed_files)"
}

a_key_that_is_needed_is_not_replaced_by_chance() {
  local before former said
  before=$(secrets_held)
  another_secret
  if said=$(inside sh -c '/usr/libexec/chancel/credentials seal kek </srv/another' 2>&1); then
    wrong "another key-encryption key over one that is needed: $said"
  fi
  check_contains "another key-encryption key is refused, with what was made under the first" \
    "/var/lib/chancel-keyd/" "$said"
  check "its own is not" inside sh -c '/usr/libexec/chancel/credentials unseal kek |
    /usr/libexec/chancel/credentials seal kek'
  check_equal "nothing that is held was changed" "$before" "$(secrets_held)"
  check "it is replaced when that is said" inside sh -c '/usr/libexec/chancel/credentials seal --replace kek </srv/another'
  check_not "keyd refuses it" inside systemctl restart chancel-keyd
  check_contains "by name" "is not generation 1 of this installation" "$(inside journalctl --unit=chancel-keyd --no-pager)"
  former=$(inside sh -c "ls $sealed_directory/kek.cred.*")
  check "and the one before is there to be put back" inside sh -c "systemd-creds decrypt --name=kek $former - |
    /usr/libexec/chancel/credentials seal --replace kek"
  check_equal "as it was" "$before" "$(secrets_held)"
  inside systemctl restart chancel-keyd
  check "and what was sealed is opened" within 20 works
  inside sh -c "rm $sealed_directory/kek.cred.* /srv/another"
}

refuses_to_make() { # WHAT SAYING
  local said
  if said=$(credentials make 2>&1); then
    wrong "made anew: $1: $said"
  fi
  check_contains "$1: not made anew" "$2" "$said"
}

a_lost_key_is_not_made_anew_where_its_keys_are_out_of_sight() {
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside mv $sealed_directory/kek.cred /srv/kek.cred
  inside mv /var/lib/chancel-keyd /srv/keyd
  inside ln -s /srv/keyd /var/lib/chancel-keyd
  refuses_to_make "with keys behind a symbolic link" "and /var/lib/chancel-keyd/"
  inside mv /srv/keyd /srv/keyd.unmounted
  refuses_to_make "with a symbolic link that leads nowhere" "/var/lib/chancel-keyd was made with it"
  inside rm /var/lib/chancel-keyd
  inside mkdir /var/lib/chancel-keyd
  refuses_to_make "with an empty directory, as of a disk that is not mounted" "remove $sealed_directory/kek.made"
  check_not "nor at a start" inside systemctl restart chancel-credentials
  inside rm $sealed_directory/kek.made
  check "without the file that says that there was one, it is a new beginning" credentials make
  check "and a new key" inside test -s $sealed_directory/kek.cred
  inside rmdir /var/lib/chancel-keyd
  inside mv /srv/keyd.unmounted /var/lib/chancel-keyd
  inside mv /srv/kek.cred $sealed_directory/kek.cred
  inside systemctl restart chancel-credentials chancel-keyd chancel-policyd chancel-gateway
  check "with both back in their places, what was sealed is opened" within 20 works
}

sealing_again_leaves_all_open_wherever_it_ends() {
  local before files begun took round killed=0
  before=$(secrets_held)
  files=$(sealed_files)
  begun=${EPOCHREALTIME/./}
  check "all are sealed again" credentials reseal
  took=$((${EPOCHREALTIME/./} - begun))
  check_equal "and hold what they held" "$before" "$(secrets_held)"
  check_not "in other files" test "$files" = "$(sealed_files)"
  check_equal "which say by what" host "$(inside cat $sealed_directory/sealed-by)"
  for round in {1..12}; do
    # shellcheck disable=SC2016 # the machine's shell
    inside sh -c '/usr/libexec/chancel/credentials reseal 2>/dev/null & sleep "0.$1"; kill -KILL $! 2>/dev/null && wait' sh \
      "$(printf %06d $((took * round / 13)))" && killed=$((killed + 1))
    [[ $(secrets_held) == "$before" ]] || wrong "killed in round $round, not all open"
  done
  ((killed >= 4)) || wrong "killed at $killed moments of it, which shows nothing"
  passed "killed at $killed moments of it, all of them open after each"
  check "it is begun again" credentials reseal
  check_equal "and leaves nothing behind" "" "$(inside find $sealed_directory -name '.*.new' -o -name '.*.former')"
  inside systemctl restart "${daemons[@]}"
  check "and what was sealed is opened" within 20 works
  inside cp --archive $sealed_directory/gateway-keyd.cred /srv/
  inside sh -c "echo nonsense >$sealed_directory/gateway-keyd.cred"
  files=$(sealed_files)
  check_not "where one does not open none is sealed again" credentials reseal
  check_equal "and nothing was changed" "$files" "$(sealed_files)"
  inside mv /srv/gateway-keyd.cred $sealed_directory/gateway-keyd.cred
}

# As docs/operations/runbooks.md says, of a disk that woke up in another machine.
what_does_not_open_any_more_is_sealed_again_from_a_backup() {
  local name
  for name in kek api-key-secret; do
    credentials unseal "$name" >"$machine/$name"
  done
  inside systemctl stop chancel-gateway chancel-policyd chancel-keyd.socket chancel-keyd
  inside rm /var/lib/systemd/credential.secret
  for name in kek gateway-keyd policyd-keyd gateway-policyd api-key-secret tls-key; do
    check_not "without the host's key $name does not open" credentials unseal "$name"
  done
  check_not "and keyd does not start" inside systemctl start chancel-keyd
  inside systemctl stop chancel-keyd.socket chancel-keyd
  inside rm $sealed_directory/sealed-by
  for name in kek api-key-secret; do
    check_not "$name, which may open again one day, is not replaced by chance" credentials seal "$name" <"$machine/$name"
    check "but when it is said" credentials seal --replace "$name" <"$machine/$name"
  done
  # shellcheck disable=SC2016 # the machine's shell
  inside sh -c 'for name in gateway-keyd policyd-keyd gateway-policyd; do
      head -c 32 /dev/urandom | /usr/libexec/chancel/credentials seal $name
    done
    rm /etc/chancel/credentials/tls-key.cred /etc/chancel/tls/chain.pem'
  inside systemctl start chancel-keyd chancel-policyd chancel-gateway
  check "with what the backup had, what was sealed is opened" within 20 works
  check_equal "and sealed-by says by what" host "$(inside cat $sealed_directory/sealed-by)"
}
