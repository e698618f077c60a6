# Words that ./quickstart, ./test and .ci/run share. Sourced from the root of the tree.
# shellcheck shell=bash

say() { printf '\n== %s\n' "$*" >&2; }

# Ends the script with what went wrong and how to mend it.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($# > 0)); then printf '  mend: %s\n' "$@" >&2; fi
  exit 1
}

# The build options for this processor: none, or those for one without x86-64-v3. Every build and
# run of a script uses the same, so that nothing is built twice.
cpu_options() {
  [[ $(uname -m) == x86_64 ]] || fail "this is a $(uname -m) machine; shardmill builds for x86-64" \
    "use a machine with an Intel or AMD processor"
  local flags flag missing=()
  flags=" $(grep -m1 '^flags' /proc/cpuinfo | cut -d: -f2) "
  for flag in avx2 fma bmi1 bmi2 f16c movbe; do
    [[ $flags == *" $flag "* ]] || missing+=("$flag")
  done
  if ((${#missing[@]} > 0)); then
    printf 'This processor lacks %s: building for any x86-64, which is slower (--config=portable).\n' \
      "${missing[*]}" >&2
    echo --config=portable
  fi
}
