// What npm's libraries make of JSON Web Tokens, for the interop tests of plugins/jwt.
//
// JSON lines in on stdin, JSON lines out on stdout, one answer a line, in order. The questions and answers are those of
// tests/python/jwt_oracle.py, with `library` one of "jose" and "jsonwebtoken". The latter cannot `export` keys. The
// versions that are needed stand in package.json.

import { createPrivateKey, createPublicKey, createSecretKey, webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

// Node 18 keeps it to itself, and `jose` wants it to be there.
globalThis.crypto ??= webcrypto;
const jose = await import("jose");
const { default: jsonwebtoken } = await import("jsonwebtoken");

const LIBRARIES = {
  jose: {
    async encode({ algorithm, key, claims, headers }) {
      const header = { typ: "JWT", ...headers, alg: algorithm };
      return { token: await new jose.SignJWT(claims).setProtectedHeader(header).sign(await joseKey(key, algorithm)) };
    },
    async decode({ algorithm, key, token, audience, issuer }) {
      const options = { algorithms: [algorithm], audience, issuer };
      const { payload, protectedHeader } = await jose.jwtVerify(token, await joseKey(key, algorithm), options);
      return { claims: payload, headers: protectedHeader };
    },
    async export({ algorithm, key }) {
      return { jwk: await jose.exportJWK(await joseKey(key, algorithm)) };
    },
  },
  jsonwebtoken: {
    async encode({ algorithm, key, claims, headers }) {
      const [privateKey, options] = [nodeKey(key, createPrivateKey), { algorithm, header: headers }];
      return { token: orRefusal(() => jsonwebtoken.sign(claims, privateKey, options)) };
    },
    async decode({ algorithm, key, token, audience, issuer }) {
      const publicKey = nodeKey(key, createPublicKey);
      const options = { algorithms: [algorithm], audience, issuer, complete: true };
      const { payload, header } = orRefusal(() => jsonwebtoken.verify(token, publicKey, options));
      return { claims: payload, headers: header };
    },
  },
};

function joseKey({ secret, pem, jwk }, algorithm) {
  if (secret !== undefined) return new TextEncoder().encode(secret);
  if (jwk !== undefined) return jose.importJWK({ ext: true, ...jwk }, algorithm);
  const importPem = pem.includes("PRIVATE") ? jose.importPKCS8 : jose.importSPKI;
  return importPem(pem, algorithm, { extractable: true });
}

function nodeKey({ secret, pem, jwk }, create) {
  if (secret !== undefined) return secret;
  if (pem !== undefined) return create(pem);
  return jwk.kty === "oct" ? createSecretKey(jwk.k, "base64url") : create({ key: jwk, format: "jwk" });
}

class Refusal extends Error {}

// `jsonwebtoken` says no with errors of many kinds.
function orRefusal(call) {
  try {
    return call();
  } catch (error) {
    throw new Refusal(`${error.name}: ${error.message}`);
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let question = {};
  let answer;
  try {
    question = JSON.parse(line);
    answer = await LIBRARIES[question.library][question.op](question);
  } catch (error) {
    if (error instanceof Refusal) answer = { refused: error.message };
    else if (error instanceof jose.errors.JOSEError) answer = { refused: `${error.name}: ${error.message}` };
    else answer = { error: `${error?.name}: ${error?.message}` };
  }
  if (question?.id !== undefined) answer.id = question.id;
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
