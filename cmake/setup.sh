# shellcheck shell=bash
# What ./run, ./test, ./fuzz and .ci/run share: packages, configuring, building. Sourced, never run.
# Everything said here goes to standard error; standard output belongs to the program that follows.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# shellcheck disable=SC2034 # for those who source this
packages=(g++ cmake ninja-build libopenblas-pthread-dev librandom123-dev libfmt-dev libspdlog-dev
  zlib1g-dev libpcre2-dev nlohmann-json3-dev libcli11-dev doctest-dev libdw-dev libncurses-dev
  libgraphviz-dev)

# missing_packages PACKAGE...: those that dpkg does not have.
missing_packages() {
  local have package
  have=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
    sed -n 's/^[hi]i  *//p') # h: held at its version
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$have" || printf '%s\n' "$package"
  done
}

is_debian() {
  local ID='' ID_LIKE=''
  # shellcheck source=/dev/null
  [ -r /etc/os-release ] && . /etc/os-release
  case " $ID $ID_LIKE " in
    *' debian '*) command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ;;
    *) false ;;
  esac
}

# need_packages PACKAGE...: installs what is missing, as root or through sudo.
need_packages() {
  local tool missing as_root=()
  if ! is_debian; then
    for tool in c++ cmake ninja; do
      if ! command -v "$tool" >/dev/null; then
        say "$tool is missing, and this is not Debian. Debian calls what is needed:"
        say "  $*"
        exit 1
      fi
    done
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "Missing, and only root can install it:"
      say "  apt-get install --no-install-recommends ${missing[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  install_packages() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}"
  }
  mkdir -p "$root/build"
  # A machine's package lists may be absent or too old: fetch them only if so.
  if ! install_packages >"$root/build/setup.log" 2>&1 </dev/null; then
    "${as_root[@]}" apt-get update -q >>"$root/build/setup.log" 2>&1 || true
    if ! install_packages >>"$root/build/setup.log" 2>&1 </dev/null; then
      tail -n 20 "$root/build/setup.log" >&2
      say "could not install the packages above; the whole log is $root/build/setup.log"
      exit 1
    fi
  fi
}

# logged LOG COMMAND...: runs with all output in LOG, which is shown only when the command fails;
# on a terminal, ninja's last line shows how far it is.
logged() {
  local log=$1 status=0
  shift
  if [ -t 2 ]; then
    # Ctrl-C ends the command; what it says then is logged, too.
    "$@" 2>&1 | tee -ai "$log" | (
      trap '' INT
      while IFS= read -r line; do printf '\r\033[K%.79s' "$line" >&2; done
    ) || status=${PIPESTATUS[0]}
    printf '\r\033[K' >&2
  else
    "$@" >>"$log" 2>&1 || status=$?
  fi
  if [ "$status" -ne 0 ]; then
    tail -n 40 "$log" >&2
    say "failed: $*; the whole log is $log"
  fi
  return "$status"
}

# build_preset PRESET TARGET...: configures where needed (with the options of RETRACE_CONFIGURE, anew
# where they are others than the last time) and builds (no target: everything).
build_preset() {
  local preset=$1 options=${RETRACE_CONFIGURE:-} target folder cache configured choices=() targets=()
  shift
  folder=$root/build
  [ "$preset" = release ] || folder=$root/build-$preset
  mkdir -p "$folder"
  for target in "$@"; do targets+=(--target "$target"); done
  cache=$folder/CMakeCache.txt
  # Without the file, someone may have configured by hand: that stays.
  configured=$folder/configured_with
  (
    flock 9 # two calls at once would trip over each other's files
    : >"$folder/build.log"
    if ! [ -e "$folder/build.ninja" ] ||
      ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache" ||
      [ "$(cat "$configured" 2>/dev/null)" != "$options" ] ||
      { [ "$preset" = release ] && ! grep -qx 'CMAKE_BUILD_TYPE:STRING=Release' "$cache"; }; then
      say "configuring $folder"
      # ccache cannot keep what was compiled with a precompiled header, and is best with single
      # files; without it the first build is what counts. (clang is to find the file that leans on
      # what it does not include.)
      if command -v ccache >/dev/null; then
        choices=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON)
      elif [ "$preset" != clang ]; then
        choices=(-DRETRACE_BATCHES=ON)
      fi
      # shellcheck disable=SC2206 # options are words
      choices+=($options)
      cd "$root" || exit
      rm -f "$folder/build.ninja" # so that one that fails is done anew
      logged "$folder/build.log" cmake --fresh --preset "$preset" "${choices[@]}"
      printf '%s\n' "$options" >"$configured"
    fi
    say "building ${*:-everything} in $folder"
    SECONDS=0
    export NINJA_STATUS='[%f/%t %es] '
    logged "$folder/build.log" cmake --build "$folder" "${targets[@]}"
    [ "$SECONDS" -lt 20 ] || say "built in $((SECONDS / 60)) min $((SECONDS % 60)) s"
  ) 9>"$folder/.lock"
}
