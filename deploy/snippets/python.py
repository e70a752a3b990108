"""A Python application with Authlib (Debian: python3-authlib, python3-requests): signs a person in with PKCE, reads userinfo, refreshes,
introspects, revokes, signs out. Prints one line of JSON for each step; the person's part happens at the address of the first line."""
import http.server, json, os, secrets, urllib.parse

issuer, client_id, client_secret = "@issuer@", "@client_id@", "@client_secret@"
redirect, signed_out, scope = "@redirect_uri@", "@signed_out@", "@scope@"
if issuer.startswith("http:"):
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"       # a trial on this computer only

from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.jose import JsonWebKey, JsonWebToken  # noqa: E402
from authlib.oidc.core import CodeIDToken  # noqa: E402

def tell(step, **value): print(json.dumps({"step": step, **value}), flush=True)

app = OAuth2Session(client_id, client_secret, scope=scope, redirect_uri=redirect, code_challenge_method="S256",
                    token_endpoint_auth_method="client_secret_basic")
about = app.get(issuer + "/.well-known/openid-configuration", withhold_token=True).json()
assert about["issuer"] == issuer
keys = JsonWebKey.import_key_set(app.get(about["jwks_uri"], withhold_token=True).json())
verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
address, state = app.create_authorization_url(about["authorization_endpoint"], code_verifier=verifier, nonce=nonce, prompt="consent")

class Back(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><title>back</title><p id="back">back at the application</p>')
        if self.path.startswith(urllib.parse.urlsplit(redirect).path + "?"):
            self.server.came = urllib.parse.urljoin(redirect, self.path)

    def log_message(self, *_): pass

def claims_of(tokens, **params):
    claims = JsonWebToken(["RS256", "PS256", "ES256", "EdDSA"]).decode(tokens["id_token"], keys, claims_cls=CodeIDToken,
        claims_options={"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}, claims_params={"client_id": client_id, **params})
    claims.validate(leeway=30)
    return claims

with http.server.HTTPServer(("127.0.0.1", urllib.parse.urlsplit(redirect).port), Back) as server:
    server.came = None
    tell("open", url=address)
    while not server.came:
        server.handle_request()
answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(server.came).query))
assert answer.get("iss") == issuer                       # RFC 9207: who answered is who was asked

tokens = app.fetch_token(about["token_endpoint"], authorization_response=server.came, state=state, code_verifier=verifier)
claims = claims_of(tokens, nonce=nonce)
tell("tokens", claims=claims, token_type=tokens["token_type"].lower(), expires_in=tokens["expires_in"], refresh=bool(tokens.get("refresh_token")))

person = app.get(about["userinfo_endpoint"]).json()
assert person["sub"] == claims["sub"]
tell("userinfo", userinfo=person)
tell("introspection", answer=app.introspect_token(about["introspection_endpoint"], tokens["access_token"]).json())

first = dict(tokens)
fresh = app.refresh_token(about["token_endpoint"], refresh_token=first["refresh_token"])
tell("refreshed", rotated=fresh["refresh_token"] != first["refresh_token"], newer=fresh["access_token"] != first["access_token"],
     same=claims_of(fresh)["sub"] == claims["sub"])

dead, kept = dict(fresh), fresh["access_token"]
app.revoke_token(about["revocation_endpoint"], dead["refresh_token"])
try:
    app.refresh_token(about["token_endpoint"], refresh_token=dead["refresh_token"])
    after = "accepted"
except Exception as e:
    after = getattr(e, "error", str(e))
tell("revoked", refresh_after=after, active_after=app.introspect_token(about["introspection_endpoint"], kept).json()["active"])

tell("logout", url=about["end_session_endpoint"] + "?" + urllib.parse.urlencode(
    {"id_token_hint": first["id_token"], "post_logout_redirect_uri": signed_out, "state": "tam-biet"}))
