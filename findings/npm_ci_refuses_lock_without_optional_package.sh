#!/usr/bin/env bash
# npm 11.19.1 with Node 20.20.2 (the same with npm 11.17.0 and Node 24.19.0), seen 2026-11-29.
# An optional dependency that the registry answers with 404: `npm install` succeeds, says "up to date", and leaves it out
# of package-lock.json. `npm ci` then refuses that very lock: "Missing: … from lock file". It asks for `npm install`.
# Expected: `npm ci` leaves out what `npm install` left out. The package is optional for both.
# Why it matters here: Vite 8.4.0 names such a package, which could not be had when this was written. examples/web is
# installed with `npm ci`, so it stays at Vite 8.3.8.
set -euo pipefail

folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
mkdir "$folder/tool" "$folder/project"
npm install --prefix "$folder/tool" --no-audit --no-fund --loglevel=error npm@11.19.1 >/dev/null
npm() { node "$folder/tool/node_modules/npm/bin/npm-cli.js" "$@"; }

cat >"$folder/server.py" <<'PYTHON'
"""A registry that has no package."""
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
python3 "$folder/server.py" >"$folder/port" &
server=$!
until [ -s "$folder/port" ]; do sleep 0.1; done

cd "$folder/project"
echo '{"name": "example", "version": "1.0.0", "optionalDependencies": {"not-there": "^1.0.0"}}' >package.json
options=(--registry "http://127.0.0.1:$(cat "$folder/port")" --cache "$folder/cache")
options+=(--no-audit --no-fund --fetch-retries 0)
npm install "${options[@]}" >"$folder/install" 2>&1 && installed=0 || installed=$?
npm ci "${options[@]}" >"$folder/ci" 2>&1 && clean=0 || clean=$?
echo "npm install: exit $installed, $(grep -m1 'up to date' "$folder/install" || true)"
echo "npm ci:      exit $clean, $(grep -m1 'Missing:' "$folder/ci" || true)"
[ "$installed" = 0 ] && [ "$clean" = 1 ] && grep -q 'Missing: not-there' "$folder/ci" || { echo CHANGED; exit 1; }
echo "as seen: npm ci refuses the lock that npm install wrote"
