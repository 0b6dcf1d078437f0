# shellcheck shell=bash
# How scenarios say what must hold. The first that does not ends the run, with the journal. Sourced by ./run.

checks=0

note() { printf '   %s\n' "$*"; }

wrong() {
  printf '\nWRONG: %s\n' "$*" >&2
  if [[ -n $leader ]]; then
    inside journalctl --no-pager --output=short-precise --lines=60 >&2 || true
    inside systemctl --no-pager --failed >&2 || true
  fi
  exit 1
}

passed() {
  checks=$((checks + 1))
  note "ok: $*"
}

check() { # WHAT COMMAND...: the command succeeds
  local what=$1 said
  shift
  said=$("$@" 2>&1) || wrong "$what
  $*
$said"
  passed "$what"
}

check_not() { # WHAT COMMAND...: the command fails
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    wrong "$what
  $*
$said"
  fi
  passed "$what"
}

check_equal() { # WHAT EXPECTED FOUND
  [[ $2 == "$3" ]] || wrong "$1
  expected: $2
  found:    $3"
  passed "$1"
}

# Nothing is in everything: a part that could not be found out is not there.
check_contains() { # WHAT PART WHOLE
  [[ -n $2 && $3 == *"$2"* ]] || wrong "$1
  not found: $2
  in:        $3"
  passed "$1"
}

# Tries until it succeeds, for that many seconds of a machine that is as fast as this host.
within() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1 * patience))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# A member of a JSON object on standard input.
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
