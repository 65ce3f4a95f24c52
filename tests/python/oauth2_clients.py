"""Real clients of OAuth 2.0 walk through a server: oauth2_clients.py authlib|requests_oauthlib BASE ID SECRET BACK TOKEN

BASE is the issuer, BACK the redirect URI, TOKEN what signs the user in. What came of it is one JSON object: `own` of the
client's own token, `tokens` before and after a refresh, `replay` and `after` what the server said when the first refresh
token was used again, and the second after that.
"""

import html
import json
import os
import re
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests

which, base, client_id, secret, back, user_token = sys.argv[1:]
token_url, authorize_url = base + "/oauth2/token", base + "/oauth2/authorize"
metadata = requests.get(base + "/.well-known/oauth-authorization-server").json()
assert (metadata["token_endpoint"], metadata["authorization_endpoint"]) == (token_url, authorize_url), metadata


def allow(url):
    """The user: opens the page, allows, and says where the browser was sent."""
    headers = {"Authorization": "Bearer " + user_token}
    page = requests.get(url, headers=headers, allow_redirects=False)
    assert page.status_code == 200, (page.status_code, page.text)
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    form = {name: html.unescape(value) for name, value in fields}
    form["decision"] = "allow"
    sent = requests.post(authorize_url, form, headers=headers, allow_redirects=False)
    assert sent.status_code == 303, (sent.status_code, sent.text)
    return sent.headers["location"]


def refused(call):
    try:
        return {"not refused": call()}
    except Exception as error:
        return error.error


def with_authlib():
    from authlib.common.security import generate_token
    from authlib.integrations.requests_client import OAuth2Session

    def session(**more):
        return OAuth2Session(client_id, secret, scope="read", token_endpoint_auth_method="client_secret_basic", **more)

    own = session().fetch_token(token_url, grant_type="client_credentials")
    client, verifier = session(redirect_uri=back, code_challenge_method="S256"), generate_token(48)
    url, state = client.create_authorization_url(authorize_url, code_verifier=verifier)
    first = client.fetch_token(token_url, authorization_response=allow(url), code_verifier=verifier, state=state)
    return own, first, lambda token: session().refresh_token(token_url, refresh_token=token["refresh_token"])


def with_requests_oauthlib():
    from oauthlib.oauth2 import BackendApplicationClient
    from requests.auth import HTTPBasicAuth
    from requests_oauthlib import OAuth2Session

    auth = HTTPBasicAuth(client_id, secret)
    own = OAuth2Session(client=BackendApplicationClient(client_id)).fetch_token(token_url, auth=auth, scope=["read"])
    client = OAuth2Session(client_id, redirect_uri=back, scope=["read"], pkce="S256")
    url, _ = client.authorization_url(authorize_url)
    first = client.fetch_token(token_url, authorization_response=allow(url), auth=auth)
    return own, first, lambda token: client.refresh_token(token_url, refresh_token=token["refresh_token"], auth=auth)


own, first, refresh = {"authlib": with_authlib, "requests_oauthlib": with_requests_oauthlib}[which]()
first = dict(first)
second = dict(refresh(first))
print(json.dumps({
    "own": {"expires_in": own["expires_in"], "refresh": "refresh_token" in own},
    "tokens": [first["access_token"], second["access_token"]],
    "replay": refused(lambda: refresh(first)),
    "after": refused(lambda: refresh(second)),
}))
