"""An authorization server of Authlib: its grants and endpoints, over clients and tokens in memory."""

import json
import logging
import os
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask
from joserfc.jwk import KeySet, OctKey

PORT = int(os.environ["PORT"])
LIFETIME = int(os.environ["LIFETIME"])
ISSUER = f"http://127.0.0.1:{PORT}"
AUDIENCES = [ISSUER, f"{ISSUER}/token"]
ASSERTION_ISSUER = "https://issuer.example.com"
METHODS = ["client_secret_basic", "client_secret_post", "client_assertion_jwt"]

with open("clients.json", encoding="utf-8") as file:
    CONTENT = json.load(file)
USERS = {"alice": "alice's password"}
TOKENS = []
USED_IDS = set()


class Client(ClientMixin):
    def __init__(self, registration):
        self.client_id = registration["client_id"]
        self.secret = registration.get("client_secret")
        self.jwks = registration.get("jwks")
        method = registration["token_endpoint_auth_method"]
        self.method = method if method.startswith("client_secret_") and method != "client_secret_jwt" else METHODS[2]

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return scope

    def check_client_secret(self, client_secret):
        return self.secret == client_secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant_type):
        return True


class Token(TokenMixin):
    def __init__(self, token, client, user):
        self.access_token = token["access_token"]
        self.refresh_token = token.get("refresh_token")
        self.scope = token.get("scope", "")
        self.expires_at = int(time.time()) + token["expires_in"]
        self.client, self.user, self.revoked = client, user, False

    def check_client(self, client):
        return self.client is client

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_at - int(time.time())

    def is_expired(self):
        return self.get_expires_in() <= 0

    def is_revoked(self):
        return self.revoked


CLIENTS = {each["client_id"]: Client(each) for each in CONTENT["clients"]}
CLIENTS[ASSERTION_ISSUER] = Client(
    {"client_id": ASSERTION_ISSUER, "token_endpoint_auth_method": "none", "jwks": {"keys": [CONTENT["issuer_jwk"]]}}
)


def public_key(client):
    return KeySet.import_key_set(client.jwks) if client.jwks else OctKey.import_key(client.secret)


class ClientAssertion(JWTBearerClientAssertion):
    def get_audiences(self):
        return AUDIENCES

    def resolve_client_public_key(self, client):
        return public_key(client)

    def validate_jti(self, claims, jti):
        key = (claims["sub"], jti)
        is_new = key not in USED_IDS
        USED_IDS.add(key)
        return is_new


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class Password(grants.ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def authenticate_user(self, username, password):
        return username if USERS.get(username) == password else None


class Refresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = (token for token in TOKENS if token.refresh_token == refresh_token and not token.revoked)
        return next(found, None)

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class Assertion(JWTBearerGrant):
    def resolve_issuer_client(self, issuer):
        return CLIENTS.get(issuer)

    def resolve_client_public_key(self, client):
        return public_key(client)

    def authenticate_user(self, subject):
        return subject if subject in USERS else None

    def get_audiences(self):
        return AUDIENCES

    def has_granted_permission(self, client, user):
        return True


def find_token(token_string, token_type_hint):
    found = (token for token in TOKENS if token_string in (token.access_token, token.refresh_token))
    return next(found, None)


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def check_permission(self, token, client, request):
        return client.client_id == "api"

    def introspect_token(self, token):
        return {
            "client_id": token.client.client_id, "scope": token.scope, "sub": token.user or token.client.client_id,
            "exp": token.expires_at,
        }


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string, token_type_hint):
        return find_token(token_string, token_type_hint)

    def revoke_token(self, token, request):
        token.revoked = True


app = Flask(__name__)
app.config.update(
    OAUTH2_SCOPES_SUPPORTED=["read", "write"],
    OAUTH2_REFRESH_TOKEN_GENERATOR=True,
    OAUTH2_TOKEN_EXPIRES_IN=dict.fromkeys(
        ["client_credentials", "password", "refresh_token", Assertion.GRANT_TYPE], LIFETIME
    ),
)
server = AuthorizationServer(
    app,
    query_client=CLIENTS.get,
    save_token=lambda token, request: TOKENS.append(Token(token, request.client, request.user)),
)
server.register_client_auth_method(METHODS[2], ClientAssertion())
for grant in (ClientCredentials, Password, Refresh, Assertion):
    server.register_grant(grant)
for endpoint in (Introspection, Revocation):
    server.register_endpoint(endpoint)


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/introspect")
def introspect():
    return server.create_endpoint_response(Introspection.ENDPOINT_NAME)


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.get("/ready")
def ready():
    return "ready"


logging.getLogger("werkzeug").setLevel(logging.ERROR)
app.run(host="127.0.0.1", port=PORT, threaded=True)
