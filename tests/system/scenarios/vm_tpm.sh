# shellcheck shell=bash
# Secrets sealed to a TPM, and a copy of the whole disk beside another one: it gives nothing, and nothing on it is harmed.

before_boot_vm_tpm() {
  installed_in_image
  virtual_tpm=own
}

scenario_vm_tpm() {
  started_by_themselves
  in_use
  secrets_are_sealed_to_the_tpm
  copied_to_another_tpm
  a_copied_disk_does_not_open
  another_key_encryption_key_touches_no_key
  back_to_its_own_tpm
  with_its_own_tpm_it_opens_again
}

readonly sealed_names="kek gateway-keyd gateway-policyd policyd-keyd api-key-secret"

secrets_are_sealed_to_the_tpm() {
  local name
  check_equal "secrets are sealed to the TPM and the host" "host+tpm2" "$(inside chancel status --json | member sealed_by)"
  for name in $sealed_names tls-key; do
    check "$name opens where it was sealed" inside sh -c "/usr/libexec/chancel/credentials unseal $name >/dev/null"
  done
  keys=$(keys_on_disk)
  check "there are keys on the disk" test -n "$keys"
}

keys_on_disk() {
  inside sh -c 'find /var/lib/chancel-keyd/keys -type f -printf "%T@ " -exec sha256sum {} \; | sort'
}

boot_with_tpm() { # NAME
  machine_off
  virtual_tpm=$1
  machine_boot
}

# All that is on the disk is on the copy, systemd's own key as well: another TPM is all the difference.
copied_to_another_tpm() {
  boot_with_tpm another
  check "the other machine has a TPM" inside test -c /dev/tpmrm0
}

a_copied_disk_does_not_open() {
  local name daemon said
  for name in $sealed_names tls-key; do
    check_not "$name does not open beside another TPM" \
      inside sh -c "/usr/libexec/chancel/credentials unseal $name >/dev/null"
  done
  for daemon in "${daemons[@]}"; do
    check_not "$daemon does not start" inside systemctl is-active "$daemon"
  done
  check_not "nobody is served" works
  # A start that is under way ends before this one begins.
  check_not "keyd is not started by hand either" inside systemctl restart chancel-keyd
  said=$(inside journalctl --no-pager --unit chancel-keyd --boot)
  check_contains "keyd's log says that it is the credentials" "status=243/CREDENTIALS" "$said"
  check_equal "no key file was touched" "$keys" "$(keys_on_disk)"
}

# Who has the disk may seal secrets of their own in place of those that do not open.
another_key_encryption_key_touches_no_key() {
  local name
  inside cp -a /etc/chancel/credentials /root/credentials
  for name in kek gateway-keyd policyd-keyd; do
    head -c 32 /dev/urandom | inside /usr/libexec/chancel/credentials seal --replace "$name"
  done
  inside systemctl restart chancel-keyd 2>/dev/null || true
  check "with another key-encryption key keyd says that it is another" within 15 inside sh -c \
    'journalctl --no-pager --unit chancel-keyd --boot | grep --quiet "No key was touched: bring back the right one"'
  check_not "and does not serve" inside systemctl is-active chancel-keyd
  check_equal "no key file was touched" "$keys" "$(keys_on_disk)"
  inside sh -c 'rm -r /etc/chancel/credentials && mv /root/credentials /etc/chancel/credentials'
}

back_to_its_own_tpm() { boot_with_tpm own; }

with_its_own_tpm_it_opens_again() {
  all_is_back
  check_equal "the keys are those of before" "$keys" "$(keys_on_disk)"
  check "the ledgers are sound and agree" ledgers_are_sound
  check "they can be sealed again" inside /usr/libexec/chancel/credentials reseal
  inside systemctl restart "${daemons[@]}"
  check "and open" within 60 works
}
