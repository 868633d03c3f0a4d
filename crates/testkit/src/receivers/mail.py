"""A mail server (aiosmtpd) that writes each mail to a file. FOLDER PORT WAY [CERTIFICATE KEY]

WAY is `none`, `starttls` or `tls`. With encryption it wants the user `mainstay` with the password
`a password`. It ends with its input."""
import os, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

folder, port, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Keep:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        path = os.path.join(folder, f"{Keep.count}.eml")
        with open(path + ".part", "wb") as file:
            file.write(f"X-To: {','.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(f"X-Encrypted: {session.ssl is not None}\r\n".encode())
            file.write(f"X-Authenticated: {bool(session.authenticated)}\r\n".encode())
            file.write(envelope.content)
        os.rename(path + ".part", path)
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"mainstay" and data.password == b"a password"
    return AuthResult(success=good, handled=good)


context = None
if way != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])


class Server(Controller):
    def factory(self):
        wants = {"authenticator": authenticate, "auth_required": way != "none"}
        if way == "starttls":
            wants |= {"tls_context": context, "require_starttls": True}
        if way == "tls":
            # The library takes only STARTTLS for an encrypted session.
            wants |= {"auth_require_tls": False}
        return SMTP(self.handler, **wants)


outer = context if way == "tls" else None
server = Server(Keep(), hostname="127.0.0.1", port=port, ssl_context=outer)
server.start()
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
