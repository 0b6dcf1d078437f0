# shellcheck shell=bash
# What a fresh Debian or Ubuntu lacks: found by looking for the thing itself, installed with apt, each with its reason.
# Sourced by ./dev.

readonly deny_version=0.20.2
readonly audit_version=0.22.2

# Packages to install, and a line of reasons for each.
missing_packages=()
missing_reasons=()

need() { # PACKAGE REASON TEST...: the package is needed unless the test succeeds
  local package=$1 reason=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing_packages+=("$package")
    missing_reasons+=("$package: $reason")
  fi
}

has_libclang() {
  [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' || ldconfig -p | grep -q 'libclang.*\.so'
}

has_compiler() { command -v cc && command -v c++ && command -v make; }

setup() {
  case $1 in
    all | build | test | lint | deb | system) ;;
    *) fail "setup knows build, test, lint, deb and system, not '$1'" ;;
  esac
  check_rust
  need build-essential "C compiler for AWS-LC, liboqs and SQLite" has_compiler
  need cmake "builds liboqs" command -v cmake
  need clang "bindgen reads liboqs' headers with it" command -v clang
  need libclang-dev "bindgen's parser" has_libclang
  need git "cargo and the checks use it" command -v git
  if [[ $1 != build ]]; then
    need python3 "the Python SDK's tests and the check of SECURITY.md's claims" command -v python3
  fi
  if [[ $1 == all || $1 == test || $1 == system ]]; then
    need python3-venv "environment for the Python SDK" python3 -c 'import ensurepip, venv'
  fi
  if [[ $1 == all || $1 == lint ]]; then
    need shellcheck "checks the scripts" command -v shellcheck
  fi
  if [[ $1 == all || $1 == deb ]]; then
    need debhelper "packs the Debian packages" command -v dh
    need dh-apparmor "loads their AppArmor profiles where they are installed" command -v dh_apparmor
    need lintian "checks them" command -v lintian
    need apparmor "parses those profiles" command -v apparmor_parser
  fi
  if [[ $1 == all || $1 == system ]]; then
    need systemd-container "boots Debian in containers" command -v systemd-nspawn
    need mmdebstrap "makes their file systems" command -v mmdebstrap
    need apt-utils "makes the repository they install from" command -v apt-ftparchive
    need gnupg "signs it" command -v gpg
    need iproute2 "gives the machines a network" command -v ip
    need procps "finds their first process" command -v pgrep
    need qemu-system-x86 "boots Debian in virtual machines" command -v qemu-system-x86_64
    need swtpm "gives them a TPM" command -v swtpm
    need e2fsprogs "makes their disks" command -v mkfs.ext4
    need openssh-client "runs programs in them" command -v ssh
  fi
  if ((${#missing_packages[@]} > 0)); then
    install_missing
  fi
  if [[ $1 == all || $1 == lint ]]; then
    rust_component clippy cargo clippy --version
    rust_component rustfmt cargo fmt --version
    cargo_tool cargo-deny "$deny_version"
    cargo_tool cargo-audit "$audit_version"
  fi
  if [[ $1 == all ]]; then
    echo "setup: everything is there"
  fi
}

check_rust() {
  if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
    PATH=$HOME/.cargo/bin:$PATH
  fi
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    fail "no Rust: install the stable toolchain with rustup (https://rustup.rs), at least $wanted"
  fi
  found=$(rustc --version | cut -d ' ' -f 2)
  at_least "$found" "$wanted" || fail "Rust $found is too old, $wanted is needed: rustup update stable"
}

at_least() { # FOUND WANTED, dotted numbers
  [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

install_missing() {
  echo "setup: missing here:"
  printf '  %s\n' "${missing_reasons[@]}"
  command -v apt-get >/dev/null || fail "no apt-get on this machine: install these by its own means, then start again"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "not root and no sudo: as root, apt-get install ${missing_packages[*]}"
    echo "setup: not root, so apt-get runs with sudo, which may ask for your password"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
    install -y -q --no-install-recommends "${missing_packages[@]}"
  missing_packages=()
  missing_reasons=()
}

rust_component() { # NAME TEST...
  local name=$1
  shift
  "$@" >/dev/null 2>&1 && return
  command -v rustup >/dev/null || fail "$name is missing: install it beside this Rust"
  echo "setup: adding rustup's component $name"
  rustup component add "$name"
}

cargo_tool() { # NAME VERSION: a program from the registry, in the cache and of exactly this version
  [[ -x $cache/tools/bin/$1 && $("$cache/tools/bin/$1" --version 2>/dev/null) == "$1 $2" ]] && return
  echo "setup: building $1 $2 from the registry; once, for some minutes"
  # Its own target directory: the project's is not to be filled with another program's crates.
  env -u CARGO_TARGET_DIR cargo install --locked --root "$cache/tools" --version "$2" "$1"
}

# Prints the path of a Python environment with exactly the pinned packages, building it when it is missing. Its name
# carries the hash of the pins and of the interpreter, so a change of either builds another.
python_environment() {
  local pins=$root/tests/python/requirements.txt directory digest
  [[ -f $pins ]] || fail "tests/python/requirements.txt is missing"
  digest=$({ cat "$pins"; python3 -c 'import sys; print(sys.executable, sys.version)'; } | sha256sum | cut -c 1-16)
  directory=$cache/venv-$digest
  if [[ ! -f $directory/complete ]]; then
    echo "setup: Python environment for the SDK's tests" >&2
    rm -rf "$directory"
    python3 -m venv "$directory" >&2
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins" >&2
    touch "$directory/complete"
  fi
  printf '%s\n' "$directory"
}

go_is_new_enough() {
  command -v go >/dev/null || return 1
  local version
  version=$(go env GOVERSION 2>/dev/null) || return 1
  at_least "${version#go}" 1.21
}
