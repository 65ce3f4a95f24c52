"""Real Datasette's answers about signed tokens, for the interop tests of plugins/signed.

JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order, flushed each time.
Needs `datasette==1.0a41` (which brings itsdangerous 2.2); the clock is the real one.

A question names its operation in `op` and may carry `id`, which the answer repeats. Every operation takes

    secret    string, or a list from oldest to newest as itsdangerous wants it for rotation; default "secret"
    settings  Datasette's settings, e.g. {"max_signed_tokens_ttl": 3600}; default {}

and one Datasette is kept for each distinct pair of them.

    create  actor_id, [expires_after], [restrictions]       -> {"token": "dstok_..."}
            restrictions: {"all": [action], "database": {database: [action]},
                           "resource": {database: {resource: [action]}}} or null
    verify  token                                           -> {"actor": {...}}         accepted
                                                             | {"invalid": message}     TokenInvalid
                                                             | {"none": true}           not a token of Datasette's
    sign    payload (any JSON), or text (signed as it is)   -> {"token": "dstok_..."}
            payload: itsdangerous' URLSafeSerializer(secret, "token"), which compresses when that is shorter;
            text: this very JSON text (or anything else), never compressed
    allows  restrictions (an `_r`), action, [resource]      -> {"allowed": bool}
            resource: null, "database", or ["database", "resource"]

Whatever else goes wrong is answered, too: {"error": "ValueError: ..."}. Datasette itself raises something other than
TokenInvalid for some payloads (one without `a` is a KeyError), so a test may well want to see it.
"""

import asyncio
import json
import sys

import itsdangerous
from datasette.app import Datasette
from datasette.default_permissions.restrictions import restrictions_allow_action
from datasette.tokens import TokenInvalid, TokenRestrictions

PREFIX = "dstok_"


async def main():
    sys.stdin.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        question = {}
        try:
            question = json.loads(line)
            answer = await OPERATIONS[question["op"]](question)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(question, dict) and "id" in question:
            answer["id"] = question["id"]
        print(json.dumps(answer), flush=True)


async def create(question):
    datasette = await datasette_for(question)
    token = await datasette.create_token(
        question["actor_id"],
        expires_after=question.get("expires_after"),
        restrictions=token_restrictions(question.get("restrictions")),
        handler="signed",
    )
    return {"token": token}


async def verify(question):
    datasette = await datasette_for(question)
    try:
        actor = await datasette.verify_token(question["token"])
    except TokenInvalid as invalid:
        return {"invalid": invalid.message}
    return {"none": True} if actor is None else {"actor": actor}


async def sign(question):
    serializer = itsdangerous.URLSafeSerializer(secret_of(question), "token")
    if "text" not in question:
        return {"token": PREFIX + serializer.dumps(question["payload"])}
    payload = itsdangerous.encoding.base64_encode(question["text"])
    return {"token": PREFIX + serializer.make_signer().sign(payload).decode("ascii")}


async def allows(question):
    resource = question.get("resource")
    allowed = restrictions_allow_action(
        await datasette_for(question),
        question["restrictions"],
        question["action"],
        tuple(resource) if isinstance(resource, list) else resource,
    )
    return {"allowed": allowed}


OPERATIONS = {"create": create, "verify": verify, "sign": sign, "allows": allows}

DATASETTES = {}


async def datasette_for(question):
    settings = question.get("settings") or {}
    key = json.dumps([secret_of(question), settings], sort_keys=True)
    if key not in DATASETTES:
        datasette = Datasette(memory=True, secret=secret_of(question), settings=settings)
        await datasette.invoke_startup()
        DATASETTES[key] = datasette
    return DATASETTES[key]


def secret_of(question):
    return question.get("secret", "secret")


def token_restrictions(written):
    if written is None:
        return None
    return TokenRestrictions(
        all=list(written.get("all") or []),
        database=dict(written.get("database") or {}),
        resource=dict(written.get("resource") or {}),
    )


if __name__ == "__main__":
    asyncio.run(main())
