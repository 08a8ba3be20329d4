#!/usr/bin/env bash
# Opens the newest waves in GTKWave, with the view of their design where tb/waves has one.
set -euo pipefail
cd "$(dirname "$0")/.."

dump=$(find build/runs -name dump.fst -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2-)
[ -n "$dump" ] || { echo "waves: no dump.fst under build/runs"; exit 1; }
echo "waves: $dump"
view=
for candidate in tb/waves/*.gtkw; do
  name=$(basename "$candidate" .gtkw)
  case "$dump" in *"$name"*) view=$candidate ;; esac
done
[ -n "$view" ] || { [ -f tb/waves/rnic_top.gtkw ] && view=tb/waves/rnic_top.gtkw; } || true
if command -v gtkwave >/dev/null 2>&1 && [ -n "${DISPLAY:-}" ]; then
  exec gtkwave "$dump" ${view:+"$view"}
fi
echo "waves: open it with: gtkwave $dump $view"
