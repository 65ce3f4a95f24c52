"""The real python-oauth2 on a real Redis or memcached, for the tests of the layout that both share.

JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order, flushed each time. The versions that are
needed stand in tests/src/python.rs. The command line names the backend, `redis` or `memcached`, and its port.

A question names its operation in `op`:

    save_token           AccessToken's fields                         -> {}
    fetch_by_token       token (read from the backend as it is)       -> {"found": fields | null}
    fetch_by_refresh_token, delete_refresh_token   refresh_token      -> {"found": fields | null}
    fetch_existing_token_of_user   client_id, grant_type, user_id     -> {"found": fields | null}
    save_code            AuthorizationCode's fields                   -> {}
    fetch_by_code, delete_code     code                               -> {"found": fields | null}
    add_client, fetch_by_client_id: as ClientStore has them           -> {"found": fields | null}
    post                 the form of a request to the token endpoint  -> {"status": "200 OK", "body": {...}}

Whatever goes wrong is answered, too: {"error": "ValueError: ..."}.
"""

import io
import json
import sys
from urllib.parse import urlencode

import memcache
import oauth2
import redis
from oauth2.datatype import AccessToken, AuthorizationCode
from oauth2.error import AccessTokenNotFound, AuthCodeNotFound, ClientNotFoundError
from oauth2.grant import ClientCredentialsGrant, RefreshToken, ResourceOwnerGrant
from oauth2.store.memcache import TokenStore as MemcacheTokens
from oauth2.store.memory import ClientStore as MemoryClients
from oauth2.store.redisdb import ClientStore as RedisClients
from oauth2.store.redisdb import TokenStore as RedisTokens
from oauth2.tokengenerator import Uuid4
from oauth2.web import ResourceOwnerGrantSiteAdapter
from oauth2.web.wsgi import Application


class Pickler:
    """What python-memcached is given to write JSON."""

    def __init__(self, file, protocol=0):
        self.file = file

    def dump(self, value):
        self.file.write(json.dumps(value).encode())


class Unpickler:
    def __init__(self, file):
        self.file = file

    def load(self):
        return json.loads(self.file.read())


class Site(ResourceOwnerGrantSiteAdapter):
    def authenticate(self, request, environ, scopes, client):
        return {"k": 1}, 123


backend, port = sys.argv[1], int(sys.argv[2])
if backend == "redis":
    connection = redis.StrictRedis(port=port)
    tokens, clients = RedisTokens(rs=connection), RedisClients(rs=connection)
    read = tokens.read
else:
    connection = memcache.Client([f"127.0.0.1:{port}"], pickler=Pickler, unpickler=Unpickler)
    tokens, clients = MemcacheTokens(mc=connection), MemoryClients()
    clients.add_client("web", "hunter2", ["https://client.example/cb"])

    def read(name):
        return connection.get("oauth2_" + name)


provider = oauth2.Provider(
    access_token_store=tokens, auth_code_store=tokens, client_store=clients, token_generator=Uuid4()
)
provider.add_grant(ResourceOwnerGrant(site_adapter=Site(), expires_in=600, unique_token=True))
provider.add_grant(RefreshToken(expires_in=2592000, reissue_refresh_tokens=True))
provider.add_grant(ClientCredentialsGrant())
# For tokens that came with a code: its grant would need a site.
provider.token_generator.expires_in["authorization_code"] = 600
application = Application(provider=provider)


def post(form):
    body = urlencode(form).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "PATH_INFO": "/token",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }
    statuses = []
    answer = b"".join(application(environ, lambda status, headers: statuses.append(status)))
    return {"status": statuses[0], "body": json.loads(answer)}


def fields(found):
    if found is None:
        return {"found": None}
    found = dict(found.__dict__)
    found.pop("_redirect_uri", None)
    return {"found": found}


def answer(op, **details):
    if op == "post":
        return post(details["form"])
    if op == "save_token":
        tokens.save_token(AccessToken(**details))
        return {}
    if op == "save_code":
        tokens.save_code(AuthorizationCode(**details))
        return {}
    if op == "fetch_by_token":
        # That library has no such thing: its user reads the key.
        found = read(details["token"])
        return fields(AccessToken(**found) if found is not None else None)
    if op in ("add_client", "fetch_by_client_id"):
        if op == "add_client":
            clients.add_client(**details)
        return fields(clients.fetch_by_client_id(details["client_id"]))
    try:
        return fields(getattr(tokens, op)(**details))
    except (AccessTokenNotFound, AuthCodeNotFound):
        return {"found": None}


for line in sys.stdin:
    try:
        result = answer(**json.loads(line))
    except ClientNotFoundError:
        result = {"found": None}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
