#!/usr/bin/env bash
# An engine without BuildKit. A double, since every engine that can be had has one: it answers what discovery and
# negotiation ask, as Docker 20.10's API words it, and 404 to the rest; it shows the words, not a real engine's manners.
. "$(dirname "$0")/lib.sh"

seed
sed -i '/^resource "gpudev_rollout"/,/^}/d; /^output/,/^}/d' "$tf/main.tf"
cat >"$work/engine.py" <<'PY'
import http.server
import json
import os
import socketserver
import sys

INFO = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24", "Os": "linux", "Arch": "amd64", "ID": "double"}


class Engine(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        fine = path.endswith(("/_ping", "/version", "/info"))
        body = b"OK" if path.endswith("/_ping") else json.dumps(INFO if fine else {"message": "page not found"}).encode()
        self.send_response(200 if fine else 404)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


Server(sys.argv[1], Engine).serve_forever()
PY
python3 "$work/engine.py" "$work/engine.sock" &
engine=$!
trap 'kill $engine 2>/dev/null; cleanup' EXIT
export DOCKER_HOST=unix://$work/engine.sock
for _ in $(seq 100); do [ ! -S "$work/engine.sock" ] || break; sleep 0.05; done

ok "an engine without BuildKit: the plan warns" plan
ok "says BuildKit" says "BuildKit"
ok "the apply refuses" no apply
ok "says that it has no BuildKit" says "has no BuildKit"
ok "and names the socket" says "engine.sock"
ok "nothing was made" no "$root/tests/acc/aws" ecr describe-repositories --region $region --repository-names "$unique-api"

finish
