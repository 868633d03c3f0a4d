"""Moto's server as Route 53, made as strict as Route 53 is documented: FOLDER PORT KEY SECRET

Moto deletes sets of records that are not exactly as the request says, applies half of a batch, and
verifies no signature. Here a batch is compared with what stands there and made as a whole or not at
all (API reference, ChangeResourceRecordSets), the elements of a request are those of Amazon's own
service model, and who signs with another key is refused.

The file `mode` says how it answers: `ok`, `throttle`, or `fail`. It ends with its input."""
import io, json, os, sys, threading, xml.etree.ElementTree as tree

folder, port, key, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.environ.update(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_EC2_METADATA_DISABLED="1")

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import RecordSet, Route53Backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple
from werkzeug.wrappers import Request, Response

NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
KNOWN = set(botocore.session.get_session().get_service_model("route53")
             .shape_for("ResourceRecordSet").members)


def refused(message):
    return Route53ClientError("InvalidChangeBatch", message)


def plain(change):
    """A set of a request in the form in which moto keeps it."""
    fields = dict(change["ResourceRecordSet"])
    fields["Name"] = fields["Name"].rstrip(".") + "."
    records = fields.get("ResourceRecords")
    if records:
        fields["ResourceRecords"] = [record["Value"] for record in records]
    return RecordSet(fields)


def identity(it):
    return (it.name, it.type, it.set_identifier)


def contents(it):
    return (str(it.ttl), sorted(it.records or []), str(it.weight), it.health_check_id, it.alias_target)


def change(self, zoneid, changes):
    zone = self.get_hosted_zone(zoneid)
    sets = list(zone.rrsets)
    for one in changes:
        wanted = plain(one)
        where = f"[name='{wanted.name}', type='{wanted.type}'"
        where += f", set-identifier='{wanted.set_identifier}']" if wanted.set_identifier else "]"
        same = [it for it in sets if identity(it) == identity(wanted)]
        if not (wanted.name == zone.name or wanted.name.endswith("." + zone.name)):
            raise refused(f"RRSet with DNS name {wanted.name} is not permitted in zone {zone.name}")
        if one["Action"] == "DELETE":
            if not same:
                raise refused(f"Tried to delete resource record set {where} but it was not found")
            if contents(same[0]) != contents(wanted):
                raise refused(f"Tried to delete resource record set {where} but the values provided "
                              "do not match the current values")
            sets.remove(same[0])
            continue
        if same and one["Action"] == "CREATE":
            raise refused(f"Tried to create resource record set {where} but it already exists")
        beside = [it for it in sets if (it.name, it.type) == (wanted.name, wanted.type)]
        if any((it.set_identifier is None) != (wanted.set_identifier is None) for it in beside):
            raise refused(f"RRSet with DNS name {wanted.name}, type {wanted.type} cannot be created "
                          "as a non-simple RRSet exists with the same name and type.")
        others = [it for it in sets if it.name == wanted.name and it not in same]
        if any((it.type == "CNAME") != (wanted.type == "CNAME") for it in others):
            raise refused(f"RRSet of type {wanted.type} with DNS name {wanted.name} is not permitted "
                          "because a conflicting RRSet of type CNAME exists")
        sets = [it for it in sets if it not in same] + [wanted]
    zone.rrsets = sets


Route53Backend.change_resource_record_sets = change


def strange(body):
    """What of a batch is not as the service model has it."""
    root = tree.fromstring(body)
    if root.tag != f"{{{NAMESPACE}}}ChangeResourceRecordSetsRequest":
        return root.tag
    for found in root.iter(f"{{{NAMESPACE}}}ResourceRecordSet"):
        names = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in found]
        if not KNOWN.issuperset(names) or len(names) != len(set(names)):
            return ", ".join(names)
    return None


def signed(request):
    shown = request.headers.get("Authorization", "")
    if f"Credential={key}/" not in shown:
        return False
    names = shown.split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: request.headers[name] for name in names}
    query = request.query_string.decode()
    url = f"http://{request.host}{request.path}" + (f"?{query}" if query else "")
    copy = AWSRequest(request.method, url, headers=headers, data=request.get_data())
    copy.context["timestamp"] = request.headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(key, secret), "route53", "us-east-1")
    canonical = auth.canonical_request(copy)
    signature = auth.signature(auth.string_to_sign(copy, canonical), copy)
    return shown.endswith(f"Signature={signature}")


def error(status, code, message):
    body = (f'<?xml version="1.0"?>\n<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>")
    return Response(body, status, content_type="text/xml")


moto = DomainDispatcherApplication(create_backend_app)


def answer(request):
    with open(os.path.join(folder, "mode")) as file:
        mode = file.read().strip()
    if mode == "throttle":
        return error(400, "Throttling", "Rate exceeded")
    if mode == "fail":
        return error(500, "InternalFailure", "down")
    if not signed(request):
        return error(403, "SignatureDoesNotMatch", "The request signature we calculated does not "
                     "match the signature you provided.\n\nThe Canonical String was " + secret)
    if request.method == "POST" and request.path.rstrip("/").endswith("/rrset"):
        wrong = strange(request.get_data())
        if wrong:
            return error(400, "MalformedInput", wrong)
    return moto


@Request.application
def app(request):
    # Moto reads it again.
    request.environ["wsgi.input"] = io.BytesIO(request.get_data())
    found = answer(request)
    with open(os.path.join(folder, "requests.jsonl"), "a") as file:
        file.write(json.dumps({"method": request.method, "path": request.path}) + "\n")
    return found


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *arguments):
        pass


def until_closed():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=until_closed, daemon=True).start()
run_simple("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
