# Shared by the scripts of this folder; sourced by bash. Ends in the repository's root.
set -euo pipefail

SBP_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$SBP_ROOT"
# SBP_WITH_CUDA=1 in the environment is about the preset cuda, whose LibTorch has a folder of its own.
SBP_CUDA=""
case "${SBP_WITH_CUDA:-}" in
  "" | 0 | OFF | off) ;;
  1 | ON | on) SBP_CUDA=yes ;;
  *) printf '%s\n' "SBP_WITH_CUDA is '$SBP_WITH_CUDA'; it must be 1 or 0" >&2; exit 2 ;;
esac
SBP_DEPS="${SBP_DEPS_DIR:-$SBP_ROOT/build/deps${SBP_CUDA:+-cuda}}"

# A script that needs more adds to it before setup.
SBP_PACKAGES=(
  g++ cmake ninja-build ccache lld git ca-certificates
  doctest-dev libfmt-dev nlohmann-json3-dev libcli11-dev zlib1g-dev
  libjpeg62-turbo-dev liblzma-dev
  python3 python3-pip python3-jsonschema dataset-fashion-mnist
)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "${0##*/}: $*"
  exit 1
}

# Debian's own interpreter has Debian's jsonschema; another first in PATH may not.
python() {
  if [[ -x /usr/bin/python3 ]]; then
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
  else
    PYTHONDONTWRITEBYTECODE=1 python3 "$@"
  fi
}

# Runs a command with its output in a log, which is shown only when the command fails.
quietly() {
  local log="$1"
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "failed: $* (all of it in $log)"
  fi
}

missing_packages() {
  local package
  for package in "${SBP_PACKAGES[@]}"; do
    if [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
      printf '%s ' "$package"
    fi
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "This is not a Debian system; needed here: ${SBP_PACKAGES[*]}"
    return
  fi
  local missing line root=()
  missing="$(missing_packages)"
  [[ -n "$missing" ]] || return 0
  missing="${missing% }"
  line="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [[ "$(id -u)" != 0 ]]; then
    if ! sudo -n true 2>/dev/null; then
      say "Debian packages are missing and installing them needs root. Run this line, then again:"
      if command -v sudo >/dev/null; then say "sudo sh -c '$line'"; else say "su -c '$line'"; fi
      exit 1
    fi
    root=(sudo -n)
  fi
  say "Installing Debian packages: $missing"
  # Run through `env`, because sudo would drop the variable. The install tells what is wrong.
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
             -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update >/dev/null 2>&1 || true
  # shellcheck disable=SC2086 # one word a package
  quietly "$SBP_ROOT/build/packages.log" "${apt[@]}" install -y --no-install-recommends $missing
}

# Everything that a build needs: quick and without network when it is all there.
setup() {
  install_packages
  if [[ -n "${SBP_LIBTORCH_DIR:-}" ]]; then
    [[ -e "$SBP_LIBTORCH_DIR" ]] || fail "SBP_LIBTORCH_DIR: no folder '$SBP_LIBTORCH_DIR'"
    return
  fi
  python tools/fetch_libtorch.py "$SBP_DEPS" tools/dependencies.txt \
    ${SBP_CUDA:+tools/dependencies-cuda.txt}
}

# build PRESET [TARGET...]: configures and builds in build/PRESET.
build() {
  local preset="$1" first=yes targets=()
  shift
  [[ $# == 0 ]] || targets=(--target "$@")
  [[ -e "build/$preset/build.ninja" ]] && first=no
  quietly "build/$preset.configure.log" cmake --preset "$preset"
  if [[ $first == yes ]]; then
    sed -n '/^-- sbp /,/^-- *$/p' "build/$preset.configure.log" >&2
  fi
  cmake --build --preset "$preset" "${targets[@]}" >&2
}
