# shellcheck shell=bash
# The checks of `./dev lint`, each a function that fails by its exit status. Sourced by ./dev.

lint() {
  setup lint
  step "format"
  cargo fmt --all --check
  # The release profile throughout: the C libraries that build scripts compile are then shared with `build` and `test`.
  step "clippy"
  cargo clippy --release --workspace --all-targets --locked -- -D warnings
  step "documentation"
  RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked --quiet
  step "dependencies: licences, bans, sources"
  "$cache/tools/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources
  lint_advisories
  step "scripts"
  lint_scripts
  step "claims of SECURITY.md"
  python3 dev.d/check-claims
  step "files"
  lint_files
  printf '\nlint: clean\n'
}

# Advisories come from a snapshot beside the repository, never from the network: the same commit gives the same answer
# on every machine.
lint_advisories() {
  local snapshot=$root/../shared/advisory-db
  step "advisories"
  if [[ ! -d $snapshot ]]; then
    echo "SKIPPED: no snapshot of the RustSec database in ../shared/advisory-db"
    return
  fi
  "$cache/tools/bin/cargo-audit" audit --no-fetch --stale --db "$snapshot"
}

lint_scripts() {
  local scripts=() scenarios=(tests/system/scenarios/*.sh) file first
  while IFS= read -r -d '' file; do
    [[ $file != tests/system/run ]] || continue
    IFS= read -r first <"$file" || true
    case $first in
      '#!'*/bash | '#!'*/sh | '#!'*' bash' | '#!'*' sh') scripts+=("$file") ;;
    esac
  done < <(git ls-files -z --cached --others --exclude-standard)
  # With the files that they source, in the context of the script that sources them.
  shellcheck --external-sources --check-sourced "${scripts[@]}"
  # Scenarios of the system test are found and not named: behind the script that sources them, as it does.
  # shellcheck disable=SC2016 # the text of a script
  {
    cat tests/system/run
    for file in "${scenarios[@]}"; do
      printf '# shellcheck source=%s\n. "$here/%s"\n' "$file" "$file"
    done
  } | shellcheck --external-sources --check-sourced --shell bash -
  echo "${#scripts[@]} scripts and ${#scenarios[@]} scenarios are clean"
}

# No Rust file is longer than a reader can hold, and each under src says first what it is for.
lint_files() {
  local file lines bad=0 count=0
  while IFS= read -r -d '' file; do
    [[ -f $file ]] || continue
    count=$((count + 1))
    lines=$(wc -l <"$file")
    if ((lines > 600)); then
      echo "$file: $lines lines, 600 are allowed"
      bad=1
    fi
    if [[ $file == */src/* && $(head -c 3 "$file") != '//!' ]]; then
      echo "$file: does not begin with //!"
      bad=1
    fi
  done < <(git ls-files -z --cached --others --exclude-standard -- '*.rs')
  ((bad == 0 && count > 0)) || return 1
  echo "$count Rust files are within the rules"
}
