#!/usr/bin/env bash
# The wheel, not the checkout: built, installed elsewhere, run from another folder with a home that
# cannot be written (as root; for others it is a folder without permission). Prints its size.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
home=$work/home
app=
cleanup() {
    if [ -n "$app" ]; then kill -TERM "$app" 2>/dev/null || true; wait "$app" || true; fi
    umount "$home" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
python3 -m pip wheel -q --no-deps -w "$work/wheel" "$root"
wheel=$(echo "$work"/wheel/*.whl)
size=$(stat -c %s "$wheel")
echo "$(basename "$wheel"): $size bytes, allowed: 6291456"
test "$size" -le 6291456
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q -c "$root/constraints.txt" "$wheel" mypy
mkdir "$home" "$work/elsewhere"
if [ "$(id -u)" = 0 ]; then mount -t tmpfs -o ro tmpfs "$home"; else chmod 500 "$home"; fi
cd "$work/elsewhere"
export HOME=$home
unset XDG_CACHE_HOME MINISUB_STORE
export TMPDIR=$work
minisub=$work/venv/bin/minisub
"$minisub" --version
"$work/venv/bin/python" -m minisub list >/dev/null
"$work/venv/bin/python" -c 'import minisub; print("from", minisub.__file__.removeprefix("'"$work"'/"))'
"$work/venv/bin/python" -c 'import minisub, pathlib; assert (pathlib.Path(minisub.__file__).parent / "py.typed").exists()'
cp "$root/tests/system/as_a_user.py" .
"$work/venv/bin/mypy" --strict --warn-unused-ignores --cache-dir "$work/mypy" as_a_user.py
if command -v npx >/dev/null; then
    echo '{"reportUnnecessaryTypeIgnoreComment": "error", "include": ["as_a_user.py"]}' >pyrightconfig.json
    npm_config_cache=$work/npm npx --yes pyright@1.1.414 --pythonpath "$work/venv/bin/python"
fi
echo 'it is typed'
"$minisub" --tyro-print-completion bash >completion
grep -q reproduce completion && bash -n completion && echo 'a shell completes its words'
"$minisub" reproduce --quick --out out | tail -1
test -s out/report.html
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$minisub" app --headless --port "$port" >app.txt 2>&1 &
app=$!
playground() { curl -fs -m 20 -o page.html "http://127.0.0.1:$port/?file=00_playground.py" && grep -q Playground page.html; }
for _ in $(seq 60); do if playground; then break; fi; sleep 1; done
playground
echo 'the gallery serves its pages'
