#!/usr/bin/env bash
# Opens waves in GTKWave, with the view of their design where tb/waves has one.
# Without an argument: the newest dump.fst under build/runs.
set -euo pipefail
cd "$(dirname "$0")/.."

dump=${1:-$(find build/runs -name dump.fst -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2-)}
[ -n "$dump" ] && [ -f "$dump" ] || { echo "waves: no dump.fst under build/runs"; exit 1; }
view=
for candidate in tb/waves/*.gtkw; do
  name=$(basename "$candidate" .gtkw)
  case "$dump" in *"$name"*) view=$candidate ;; esac
done
case "$dump" in
  *icarus*) if [ -n "$view" ]; then # no scope TOP around the design there
    sed 's/^TOP\.//' "$view" > "${dump%.fst}.gtkw"
    view=${dump%.fst}.gtkw
  fi ;;
esac
if command -v gtkwave >/dev/null 2>&1 && [ -n "${DISPLAY:-}" ]; then
  exec gtkwave "$dump" ${view:+"$view"}
fi
echo "waves: open it with: gtkwave $dump $view"
