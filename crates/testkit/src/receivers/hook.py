"""Takes webhooks and writes down what came: one JSON line each. FOLDER PORT SECRET [CERTIFICATE KEY]

The file `mode` says how it answers: a status, `hang`, or `redirect`. It ends with its input."""
import hashlib, hmac, http.server, json, os, ssl, sys, threading, time

folder, port, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()


def verified(header, body):
    parts = dict(part.split("=", 1) for part in header.split(",")) if header else {}
    if "t" not in parts or "v1" not in parts:
        return False
    expected = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(parts["t"])) < 60
    return fresh and hmac.compare_digest(expected, parts["v1"])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(os.path.join(folder, "mode")) as file:
            mode = file.read().strip()
        line = {
            "at": time.time(), "path": self.path, "mode": mode, "body": json.loads(body),
            "verified": verified(self.headers.get("Mainstay-Signature"), body),
        }
        with open(os.path.join(folder, "received.jsonl"), "a") as file:
            file.write(json.dumps(line) + "\n")
        if mode == "hang":
            time.sleep(3600)
        self.send_response(307 if mode == "redirect" else int(mode))
        if mode == "redirect":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def until_the_end():
    sys.stdin.read()
    os._exit(0)


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=until_the_end, daemon=True).start()
server.serve_forever()
