"""Azure DNS as it is documented (learn.microsoft.com/rest/api/dns, 2018-05-01), with the login service
(OAuth 2.0 client credentials) and the machine's metadata service: FOLDER PORT CLIENT SECRET PERSON

Etags that every change renews, If-Match and If-None-Match, names relative to their zone, and the
bodies of refusals. In FOLDER, `mode` says how the API answers: `ok`, `throttle`, `fail`, `no-address`
(changing addresses fails) or `lost` (changes are made, and nothing is answered); `lifetime` for how
many seconds a token is good, and `ended` how many of the first ones are so no more. There it writes
`tokens.jsonl` and `changes.jsonl`. It ends with its input."""
import http.server, ipaddress, json, os, re, sys, threading, time, uuid
from urllib.parse import parse_qs, unquote, urlparse

folder, port = sys.argv[1], int(sys.argv[2])
client, secret, person = sys.argv[3:]  # The last is a person's token, which does not end.
SUBSCRIPTION, GROUP, ZONE = "00000000-1111-2222-3333-444444444444", "dns", "example.org"
TENANT, MACHINE = "55555555-6666-7777-8888-999999999999", "bbbbbbbb-cccc-dddd-eeee-ffffffffffff"
RESOURCE = f"http://127.0.0.1:{port}"
SERVERS = ["ns1-07.azure-dns.com.", "ns2-07.azure-dns.net."]
PATH = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Network"
                  r"/dnsZones/([^/]+)(?:/([^/]+)/([^/]+))?")
RECORDS = {"A": "ARecords", "AAAA": "AAAARecords", "TXT": "TXTRecords", "CNAME": "CNAMERecord"}
lock, sets, tokens = threading.Lock(), {}, {}


class Refused(Exception):
    def __init__(self, status, code, message, bare=False):
        error = {"code": code, "message": message}
        self.status, self.body = status, error if bare else {"error": error}


class Unknown(Exception):
    """A refusal of the login service, which has a shape of its own."""
    def __init__(self, status, error, description):
        self.status = status
        self.body = {"error": error, "error_description": description, "error_codes": [], "timestamp": ""}


def told(name):
    with open(os.path.join(folder, name)) as file:
        return file.read().strip()


def write(name, line):
    with open(os.path.join(folder, name), "a") as file:
        file.write(json.dumps(line) + "\n")


def grant(to):
    token, lasts = "canary-of-a-token-" + uuid.uuid4().hex, int(told("lifetime"))
    tokens[token] = (len(tokens), time.monotonic() + lasts)
    write("tokens.jsonl", to)
    return token, lasts


def log_in(path, form):
    if path != f"/{TENANT}/oauth2/v2.0/token":
        raise Unknown(400, "invalid_request", "AADSTS90002: Tenant not found.\r\nTrace ID: 1")
    one = {key: values[0] for key, values in form.items()}
    if one.get("grant_type") != "client_credentials":
        raise Unknown(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")
    if one.get("client_id") != client:
        raise Unknown(400, "unauthorized_client",
                      "AADSTS700016: Application with that identifier was not found in the directory.")
    if one.get("client_secret") != secret:
        raise Unknown(401, "invalid_client",
                      "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nTimestamp: 2")
    if one.get("scope") != f"{RESOURCE}/.default":
        raise Unknown(400, "invalid_resource", f"AADSTS500011: no resource {one.get('scope')}")
    token, lasts = grant("client")
    return {"token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts, "access_token": token}


def identity(headers, query):
    one = {key: values[0] for key, values in query.items()}
    if headers.get("Metadata") != "true" or one.get("api-version") != "2018-02-01":
        raise Unknown(400, "invalid_request", "Required metadata header not specified")
    if one.get("client_id", MACHINE) != MACHINE or one.get("resource") != RESOURCE:
        raise Unknown(400, "invalid_request", "Identity not found")
    token, lasts = grant("machine")
    return {"access_token": token, "client_id": MACHINE, "expires_in": str(lasts),
            "expires_on": str(int(time.time()) + lasts), "resource": RESOURCE, "token_type": "Bearer"}


def known(headers):
    token = headers.get("Authorization", "").removeprefix("Bearer ")
    if token == person:
        return
    if not token:
        raise Refused(401, "AuthenticationFailed", "The 'Authorization' header is missing.")
    if token not in tokens:
        raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
    number, end = tokens[token]
    if number < int(told("ended")) or end < time.monotonic():
        raise Refused(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier "
                      "than current UTC time.")


def found(path, query):
    """The kind and name of a set; of the zone itself, neither."""
    if query.get("api-version") != ["2018-05-01"]:
        raise Refused(400, "InvalidApiVersionParameter", "The api-version is invalid.")
    match = PATH.fullmatch(unquote(path))
    if not match or match[4] and match[4] not in RECORDS:
        raise Refused(404, "InvalidResourceType", f"The resource type could not be found: {path}")
    if match[1] != SUBSCRIPTION:
        raise Refused(404, "SubscriptionNotFound", f"The subscription '{match[1]}' could not be found.")
    if match[2].lower() != GROUP:
        raise Refused(404, "ResourceGroupNotFound", f"Resource group '{match[2]}' could not be found.")
    if match[3] != ZONE and match[4]:
        raise Refused(404, "ParentResourceNotFound", "Can not perform requested operation on nested "
                      f"resource. Parent resource '{match[3]}' not found.")
    if match[3] != ZONE:
        raise Refused(404, "ResourceNotFound", f"The Resource 'Microsoft.Network/dnszones/{match[3]}' "
                      f"under resource group '{GROUP}' was not found.")
    return match[4], match[5]


def checked(kind, properties):
    """What is kept of a set."""
    if type(properties.get("TTL")) is not int or not 1 <= properties["TTL"] <= 2147483647:
        raise Refused(400, "BadRequest", "The TTL must be between 1 and 2147483647.")
    others = set(properties) - {"TTL", "metadata", "targetResource", RECORDS[kind]}
    if others:
        raise Refused(400, "BadRequest", f"Set of type {kind} with {sorted(others)}.")
    if not all(isinstance(it, str) for it in properties.get("metadata", {}).values()):
        raise Refused(400, "BadRequest", "Metadata are strings.")
    records = properties.get(RECORDS[kind], [])
    for record in records if kind in ("A", "AAAA") else []:
        version, key = (4, "ipv4Address") if kind == "A" else (6, "ipv6Address")
        if set(record) != {key} or ipaddress.ip_address(record[key]).version != version:
            raise Refused(400, "BadRequest", f"No record of type {kind}: {record}")
    for record in records if kind == "TXT" else []:
        if not all(isinstance(it, str) and len(it) <= 255 for it in record["value"]):
            raise Refused(400, "BadRequest", "A string of a TXT record has 255 characters at most.")
    if len({json.dumps(record) for record in records}) != len(records):
        raise Refused(400, "BadRequest", "Records of a set are unique.")
    return {"targetResource": {}, **properties, RECORDS[kind]: records}


def put(headers, kind, name, body):
    there = sets.get((kind, name))
    seen, none = headers.get("If-Match"), headers.get("If-None-Match")
    if none == "*" and there or seen and (not there or seen not in ("*", there["etag"])):
        which = "If-None-Match" if none else "If-Match"
        raise Refused(412, "PreconditionFailed", f"The condition '{none or seen}' in the {which} header "
                      "was not satisfied.")
    alone = [other for other in sets if other[1] == name and "CNAME" in (other[0], kind)]
    if any(other != (kind, name) for other in alone):
        raise Refused(409, "Conflict", "The record could not be created because a CNAME record with the "
                      "same name already exists in this zone.")
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/dnszones"
    made = {"id": f"{path}/{ZONE}/{kind}/{name}", "name": name, "etag": str(uuid.uuid4()),
            "type": f"Microsoft.Network/dnszones/{kind}",
            "properties": {"fqdn": f"{name}.{ZONE}.", "provisioningState": "Succeeded",
                           **checked(kind, body["properties"])}}
    sets[(kind, name)] = made
    changed("PUT", kind, name)
    return (200 if there else 201), made


def delete(headers, kind, name):
    there = sets.get((kind, name))
    if there and headers.get("If-Match", there["etag"]) not in ("*", there["etag"]):
        raise Refused(412, "PreconditionFailed", "The condition in the If-Match header was not satisfied.")
    sets.pop((kind, name), None)
    changed("DELETE", kind, name)
    return (200 if there else 204), {}


def changed(method, kind, name):
    host = name.removeprefix("_mainstay.")
    has = [sets[(kind, host)]["properties"][RECORDS[kind]] for kind in ("A", "AAAA") if (kind, host) in sets]
    write("changes.jsonl", {"change": f"{method} {kind} {name}", "addresses": sum(map(len, has))})


def read(kind, name):
    if not kind:
        return 200, {"name": ZONE, "type": "Microsoft.Network/dnszones", "etag": "1", "location": "global",
                     "properties": {"nameServers": SERVERS, "zoneType": "Public"}}
    if (kind, name) not in sets:
        # Without `error` around it, as Azure DNS itself has it.
        raise Refused(404, "NotFound", f"The resource record '{name}' does not exist in resource group "
                      f"'{GROUP}' of subscription '{SUBSCRIPTION}'.", bare=True)
    return 200, sets[(kind, name)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(self.manage)

    def do_PUT(self):
        self.reply(self.manage)

    def do_DELETE(self):
        self.reply(self.manage)

    def do_POST(self):
        self.reply(lambda url, body: (200, log_in(url.path, parse_qs(body.decode()))))

    def manage(self, url, body):
        query = parse_qs(url.query)
        if url.path == "/metadata/identity/oauth2/token":
            return 200, identity(self.headers, query)
        mode = told("mode")
        if mode == "throttle":
            raise Refused(429, "SubscriptionRequestsThrottled", "Number of requests exceeded the limit.")
        if mode == "fail":
            raise Refused(500, "InternalServerError", "Encountered internal server error.")
        known(self.headers)
        kind, name = found(url.path, query)
        if self.command == "GET":
            return read(kind, name)
        if not kind:
            raise Refused(405, "MethodNotAllowed", "Zones are not changed here.")
        if mode == "no-address" and kind != "TXT":
            raise Refused(500, "InternalServerError", "Encountered internal server error.")
        return delete(self.headers, kind, name) if self.command == "DELETE" \
            else put(self.headers, kind, name, json.loads(body))

    def reply(self, of):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with lock:
                status, result = of(urlparse(self.path), body)
        except (Refused, Unknown) as why:
            status, result = why.status, why.body
        self.close_connection = True
        if self.command in ("PUT", "DELETE") and told("mode") == "lost":
            return
        text = b"" if status == 204 else json.dumps(result).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def until_closed():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=until_closed, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
