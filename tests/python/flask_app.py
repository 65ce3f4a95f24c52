"""Flask apps behind JSON Web Tokens, really served, for the interop tests of plugins/jwt.

JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order, flushed each time. The clock is the real
one. The versions that are needed stand in tests/src/python.rs.

A question names its operation in `op` and may carry `id`, which the answer repeats. Every operation takes

    extension  "flask-jwt-extended" or "flask-jwt-trivial"
    settings   Flask's configuration for the former, e.g. {"JWT_SECRET_KEY": "..."};
               what `Flask_JWT_Trivial` takes for the latter, e.g. {"passphrase": "..."}

and one app on a free port of the loopback is kept for each distinct pair of them.

    make  Flask-JWT-Extended: identity, [kind], [claims], [headers], [expires_seconds], [fresh_seconds]
          kind: "access" (the default), "fresh" or "refresh"; expires_seconds: null is for ever;
          fresh_seconds: the token is fresh so long
          flask-jwt-trivial: [audience], [issuer], [subject]
                                            -> {"token": "eyJ..."}
    call  route, [authorization]            -> {"status": 200, "body": {...}}
          route: "/access", "/fresh" and "/refresh" want tokens of that kind; flask-jwt-trivial has "/access" alone;
          authorization: the header's value
          The body of what is let in: {"identity": ..., "claims": {...}, "headers": {...}}.

Whatever else goes wrong is answered, too: {"error": "ValueError: ..."}.
"""

import http.client
import json
import logging
import sys
import threading
from datetime import timedelta

import flask
import flask_jwt_extended
import flask_jwt_trivial
from werkzeug.serving import make_server


def main():
    logging.disable()  # Each request would be a line, and each refusal one more.
    sys.stdin.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        question = {}
        try:
            question = json.loads(line)
            answer = OPERATIONS[question["op"]](served_for(question), question)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(question, dict) and "id" in question:
            answer["id"] = question["id"]
        print(json.dumps(answer), flush=True)


def make(served, question):
    with served.app.app_context():
        return {"token": served.make(question)}


def call(served, question):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    headers = {"Authorization": question["authorization"]} if "authorization" in question else {}
    connection.request("GET", question["route"], headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    return {"status": response.status, "body": json.loads(body) if is_json else body.decode()}


OPERATIONS = {"make": make, "call": call}


class Served:
    """An app, served until the program ends."""

    def __init__(self, app, make):
        self.app, self.make = app, make
        server = make_server("127.0.0.1", 0, app, threaded=True)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


def extended(settings):
    app = flask.Flask("extended")
    app.config.update(settings)
    flask_jwt_extended.JWTManager(app)

    def let_in():
        claims, headers = flask_jwt_extended.get_jwt(), flask_jwt_extended.get_jwt_header()
        return {"identity": flask_jwt_extended.get_jwt_identity(), "claims": claims, "headers": headers}

    for name, wanted in {"access": {}, "fresh": {"fresh": True}, "refresh": {"refresh": True}}.items():
        app.add_url_rule(f"/{name}", name, flask_jwt_extended.jwt_required(**wanted)(let_in))
    return Served(app, extended_token)


def extended_token(question):
    options = {"additional_claims": question.get("claims"), "additional_headers": question.get("headers")}
    if "expires_seconds" in question:
        seconds = question["expires_seconds"]
        options["expires_delta"] = False if seconds is None else timedelta(seconds=seconds)
    kind = question.get("kind", "access")
    if kind == "refresh":
        return flask_jwt_extended.create_refresh_token(question["identity"], **options)
    fresh = timedelta(seconds=question["fresh_seconds"]) if "fresh_seconds" in question else kind == "fresh"
    return flask_jwt_extended.create_access_token(question["identity"], fresh=fresh, **options)


def trivial(settings):
    app = flask.Flask("trivial")
    extension = flask_jwt_trivial.Flask_JWT_Trivial()
    extension.init_app(app, **settings)
    # It tells a view nothing of the token.
    app.add_url_rule("/access", "access", extension.jwt_required()(lambda: {}))

    def token(question):
        return extension.create_access_token(
            **{name: question[name] for name in ("audience", "issuer", "subject") if name in question}
        )

    return Served(app, token)


EXTENSIONS = {"flask-jwt-extended": extended, "flask-jwt-trivial": trivial}

SERVED = {}


def served_for(question):
    key = json.dumps([question["extension"], question["settings"]], sort_keys=True)
    if key not in SERVED:
        SERVED[key] = EXTENSIONS[question["extension"]](question["settings"])
    return SERVED[key]


if __name__ == "__main__":
    main()
