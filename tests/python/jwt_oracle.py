"""What Python's libraries make of JSON Web Tokens, for the interop tests of plugins/jwt.

JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order, flushed each time. The clock is the real
one. The versions that are needed stand in tests/src/python.rs.

A question names its operation in `op` and may carry `id`, which the answer repeats. Every operation takes

    library    "pyjwt", "python-jose", "authlib" or "joserfc"
    algorithm  the value of `alg`, which is the only one that is accepted, too
    key        {"secret": text}, {"pem": text} or {"jwk": {...}}

    encode  claims, [headers]                   -> {"token": "eyJ..."}
    decode  token, [audience], [issuer]         -> {"claims": {...}, "headers": {...}}
            what is in the token is checked as well: exp, nbf, iat
    export  nothing else                        -> {"jwk": {...}}
            the PEM as the library writes it as a JWK: private when it is, public when it is

When the library says no: {"refused": "InvalidSignatureError: ..."}. Whatever else goes wrong is answered, too:
{"error": "KeyError: ..."}.
"""

import json
import sys
import warnings

import authlib.deprecate

# That a library has a successor, or an algorithm another name, is known here. Authlib would have it said.
warnings.simplefilter("ignore")

import authlib.jose
import jose.jwk
import jose.jwt
import joserfc.errors
import joserfc.jwk
import joserfc.jwt
import jwt

# PyJWT says so when it does not know an algorithm.
REFUSALS = (NotImplementedError, jwt.PyJWTError, jose.JOSEError, authlib.jose.JoseError, joserfc.errors.JoseError)


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        question = {}
        try:
            question = json.loads(line)
            answer = LIBRARIES[question["library"]][question["op"]](question)
        except REFUSALS as refusal:
            answer = {"refused": f"{type(refusal).__name__}: {refusal}"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(question, dict) and "id" in question:
            answer["id"] = question["id"]
        print(json.dumps(answer), flush=True)


def pyjwt_key(question):
    if "jwk" in question["key"]:
        return jwt.PyJWK(question["key"]["jwk"], question["algorithm"]).key
    return text_of(question)


def pyjwt_encode(question):
    headers = question.get("headers")
    return {"token": jwt.encode(question["claims"], pyjwt_key(question), question["algorithm"], headers)}


def pyjwt_decode(question):
    expected = {name: question.get(name) for name in ("audience", "issuer")}
    token = jwt.decode_complete(question["token"], pyjwt_key(question), [question["algorithm"]], **expected)
    return {"claims": token["payload"], "headers": token["header"]}


def pyjwt_export(question):
    algorithm = jwt.get_algorithm_by_name(question["algorithm"])
    return {"jwk": algorithm.to_jwk(algorithm.prepare_key(text_of(question)), as_dict=True)}


def python_jose_key(question):
    return question["key"].get("jwk") or text_of(question)


def python_jose_encode(question):
    algorithm, headers = question["algorithm"], question.get("headers")
    return {"token": jose.jwt.encode(question["claims"], python_jose_key(question), algorithm, headers)}


def python_jose_decode(question):
    token, expected = question["token"], {name: question.get(name) for name in ("audience", "issuer")}
    claims = jose.jwt.decode(token, python_jose_key(question), [question["algorithm"]], **expected)
    return {"claims": claims, "headers": jose.jwt.get_unverified_header(token)}


def python_jose_export(question):
    return {"jwk": jose.jwk.construct(python_jose_key(question), question["algorithm"]).to_dict()}


def authlib_key(question):
    key = question["key"]
    if "jwk" in key:
        return authlib.jose.JsonWebKey.import_key(key["jwk"])
    return authlib.jose.JsonWebKey.import_key(text_of(question), {"kty": key_type(question)})


def authlib_encode(question):
    header = {"alg": question["algorithm"], **question.get("headers", {})}
    token = authlib.jose.JsonWebToken([question["algorithm"]]).encode(header, question["claims"], authlib_key(question))
    return {"token": token.decode("ascii")}


def authlib_decode(question):
    decoder = authlib.jose.JsonWebToken([question["algorithm"]])
    claims = decoder.decode(question["token"], authlib_key(question), claims_options=expected_claims(question))
    claims.validate()
    return {"claims": claims, "headers": claims.header}


def authlib_export(question):
    return {"jwk": authlib_key(question).as_dict(is_private=is_private(question))}


def joserfc_key(question):
    key = question["key"]
    if "jwk" in key:
        return joserfc.jwk.import_key(key["jwk"])
    return joserfc.jwk.import_key(text_of(question), key_type(question))


def joserfc_encode(question):
    algorithm = question["algorithm"]
    header = {"alg": algorithm, **question.get("headers", {})}
    return {"token": joserfc.jwt.encode(header, question["claims"], joserfc_key(question), [algorithm])}


def joserfc_decode(question):
    token = joserfc.jwt.decode(question["token"], joserfc_key(question), [question["algorithm"]])
    joserfc.jwt.JWTClaimsRegistry(**expected_claims(question)).validate(token.claims)
    return {"claims": token.claims, "headers": token.header}


def joserfc_export(question):
    return {"jwk": joserfc_key(question).as_dict(private=is_private(question))}


LIBRARIES = {
    "pyjwt": {"encode": pyjwt_encode, "decode": pyjwt_decode, "export": pyjwt_export},
    "python-jose": {"encode": python_jose_encode, "decode": python_jose_decode, "export": python_jose_export},
    "authlib": {"encode": authlib_encode, "decode": authlib_decode, "export": authlib_export},
    "joserfc": {"encode": joserfc_encode, "decode": joserfc_decode, "export": joserfc_export},
}


def text_of(question):
    return question["key"].get("secret") or question["key"]["pem"]


def is_private(question):
    return "PRIVATE" in question["key"]["pem"]


def key_type(question):
    return {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[question["algorithm"][:2]]


def expected_claims(question):
    """What Authlib and joserfc want to be told."""
    expected = {"iss": question.get("issuer"), "aud": question.get("audience")}
    return {name: {"essential": True, "value": value} for name, value in expected.items() if value is not None}


if __name__ == "__main__":
    main()
