# shellcheck shell=bash
# Clients as they are published, from another process over TLS, with the installed certificate as the one that they trust.

scenario_clients() {
  installed_and_in_use
  the_unmodified_python_sdk_and_its_command_work_over_tls
  a_client_that_trusts_other_certificates_is_not_served
}

# On this host's Python, which has the pinned packages: CHANCEL_VENV is from `./dev test`.
the_unmodified_python_sdk_and_its_command_work_over_tls() {
  local said sealed trusted=$machine/chain.pem
  [[ -n ${CHANCEL_VENV:-} ]] || die "CHANCEL_VENV names no Python environment with the SDK: './dev test --system' makes one"
  clients_are_given_what_they_need
  check "the SDK is the pinned one" grep --quiet "^qpher==$(as_client "$trusted" python -c \
    'import importlib.metadata as m; print(m.version("qpher"))')$" "$here/../python/requirements.txt"
  said=$(as_client "$trusted" python "$here/sdk.py") || wrong "the SDK: $said"
  while IFS= read -r line; do
    passed "SDK: $line"
  done <<<"$said"
  check "it went through all algorithms" grep --quiet '^end: ' <<<"$said"
  sealed=$(as_client "$trusted" qpher encrypt --text "by the command" -k 1 2>/dev/null) || wrong "qpher encrypt: $sealed"
  check_equal "its command encrypts and decrypts" "by the command" \
    "$(as_client "$trusted" qpher decrypt --text "$sealed" -k 1 2>/dev/null)"
}

# Otherwise the checks above would say nothing of TLS.
a_client_that_trusts_other_certificates_is_not_served() {
  local trusted=/etc/ssl/certs/ca-certificates.crt said
  if said=$(as_client "$trusted" python "$here/sdk.py" 2>&1); then
    wrong "served without trust: $said"
  fi
  check_contains "a client that does not trust the certificate says so" CERTIFICATE_VERIFY_FAILED "$said"
}
