"""Cloudflare's API for DNS records as it is documented (developers.cloudflare.com/api, DNS records):
ids, pages, batches that are made as a whole, and its error bodies: FOLDER PORT TOKEN

The file `mode` says how it answers: `ok`, `throttle`, or `fail`. It ends with its input."""
import http.server, itertools, json, os, sys, threading
from urllib.parse import parse_qs, urlparse

folder, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
BASE = "/client/v4/zones"
SERVERS = ["tony.ns.cloudflare.com", "woz.ns.cloudflare.com"]
LARGEST_PAGE = 5  # Small, so that what a test reads has pages.
lock, records, ids = threading.Lock(), {}, itertools.count(1)


class Refused(Exception):
    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


def added(there, record):
    if not 60 <= record["ttl"] <= 86400 and record["ttl"] != 1:
        raise Refused(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    if record["type"] not in ("A", "AAAA", "CNAME", "TXT", "MX"):
        raise Refused(400, 9005, "Invalid record type")
    if not (record["name"] == "example.org" or record["name"].endswith(".example.org")):
        raise Refused(400, 9000, "DNS name is not in the zone.")
    for other in there.values():
        if other["name"] != record["name"]:
            continue
        if (other["type"], other["content"]) == (record["type"], record["content"]):
            raise Refused(400, 81058, "An identical record already exists.")
        if "CNAME" in (other["type"], record["type"]):
            raise Refused(400, 81054, "A CNAME record with that host already exists.")
    new = {**record, "id": f"{next(ids):032x}", "proxied": record.get("proxied", False)}
    there[new["id"]] = new
    return new


def batch(body):
    """Deletes, then posts, on a copy; the first refusal ends all of it."""
    there = dict(records)
    gone = []
    for one in body.get("deletes", []):
        if one["id"] not in there:
            raise Refused(404, 81044, "Record does not exist.")
        gone.append(there.pop(one["id"]))
    made = [added(there, one) for one in body.get("posts", [])]
    records.clear()
    records.update(there)
    return {"deletes": gone, "patches": None, "puts": None, "posts": made}


def listed(query):
    found = [it for it in records.values() if query.get("name.exact", [it["name"]])[0] == it["name"]]
    page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["100"])[0])
    size = min(size, LARGEST_PAGE)
    pages = -(-len(found) // size)
    part = found[(page - 1) * size:page * size]
    info = {"page": page, "per_page": size, "count": len(part), "total_count": len(found),
            "total_pages": pages}
    return part, info


def zone():
    return {"id": ZONE, "name": "example.org", "status": "active", "name_servers": SERVERS}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(self.read)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(lambda path, query: self.write(path, json.loads(body)))

    def read(self, path, query):
        if path == BASE:
            found = [zone()] if query.get("name") == ["example.org"] else []
            info = {"page": 1, "per_page": 20, "count": len(found), "total_count": len(found),
                    "total_pages": 1}
            return found, info
        if path == f"{BASE}/{ZONE}":
            return zone(), None
        if path == f"{BASE}/{ZONE}/dns_records":
            return listed(query)
        raise Refused(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")

    def write(self, path, body):
        if path != f"{BASE}/{ZONE}/dns_records/batch":
            raise Refused(404, 7003, f"Could not route to {path}")
        return batch(body), None

    def answer(self, of):
        with open(os.path.join(folder, "mode")) as file:
            mode = file.read().strip()
        try:
            if mode == "throttle":
                raise Refused(429, 10429, "Rate limited. Please wait and consider throttling your requests.")
            if mode == "fail":
                raise Refused(500, 1000, "internal error")
            if self.headers.get("Authorization") != f"Bearer {token}":
                raise Refused(403, 10000, "Authentication error")
            url = urlparse(self.path)
            with lock:
                result, info = of(url.path, parse_qs(url.query))
            body = {"success": True, "errors": [], "messages": [], "result": result}
            status = 200
            if info:
                body["result_info"] = info
        except Refused as why:
            errors = [{"code": why.code, "message": why.message}]
            body, status = {"success": False, "errors": errors, "messages": [], "result": None}, why.status
        text = json.dumps(body).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def until_closed():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=until_closed, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
