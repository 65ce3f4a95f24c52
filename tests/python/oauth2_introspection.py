"""Authlib asks a server about tokens and revokes them: oauth2_introspection.py BASE ID SECRET ACCESS_TOKEN REFRESH_TOKEN

What was said is one JSON object: `access`, `refresh` and `unknown` at first, `after` the access token was revoked, and
`last` of the refresh token when that was revoked, too.
"""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.integrations.requests_client import OAuth2Session

base, client_id, secret, access, refresh = sys.argv[1:]
metadata = requests.get(base + "/.well-known/oauth-authorization-server").json()
assert "client_secret_basic" in metadata["introspection_endpoint_auth_methods_supported"], metadata
assert "client_secret_post" in metadata["revocation_endpoint_auth_methods_supported"], metadata


def session(method):
    return OAuth2Session(client_id, secret, revocation_endpoint_auth_method=method)


def told(token, hint):
    response = session("client_secret_basic").introspect_token(metadata["introspection_endpoint"], token, hint)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store"), response.text
    return response.json()


def revoke(token, hint, method):
    response = session(method).revoke_token(metadata["revocation_endpoint"], token, hint)
    assert (response.status_code, response.text) == (200, ""), response.text


said = {
    "access": told(access, "access_token"),
    "refresh": told(refresh, "refresh_token"),
    "unknown": told("nothing", None),
}
revoke(access, "access_token", "client_secret_basic")
said["after"] = {"access": told(access, "access_token"), "refresh": told(refresh, "refresh_token")["active"]}
revoke(refresh, "refresh_token", "client_secret_post")
said["last"] = told(refresh, "refresh_token")
print(json.dumps(said))
