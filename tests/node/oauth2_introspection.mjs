// oauth4webapi asks a server about tokens and revokes them:
// node oauth2_introspection.mjs BASE ID SECRET ACCESS_TOKEN REFRESH_TOKEN
// The answer is that of tests/python/oauth2_introspection.py.
import * as oauth from 'oauth4webapi'

const [base, clientId, secret, access, refresh] = process.argv.slice(2)
const options = { [oauth.allowInsecureRequests]: true }
const client = { client_id: clientId }
const issuer = new URL(base)
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options })
const server = await oauth.processDiscoveryResponse(issuer, discovered)

async function told(token, hint) {
  const additionalParameters = hint ? { token_type_hint: hint } : {}
  const auth = oauth.ClientSecretPost(secret)
  const response = await oauth.introspectionRequest(server, client, auth, token, { ...options, additionalParameters })
  return oauth.processIntrospectionResponse(server, client, response)
}

async function revoke(token) {
  const response = await oauth.revocationRequest(server, client, oauth.ClientSecretBasic(secret), token, options)
  await oauth.processRevocationResponse(response)
}

const said = {
  access: await told(access, 'access_token'),
  refresh: await told(refresh, 'refresh_token'),
  unknown: await told('nothing'),
}
await revoke(access)
said.after = { access: await told(access, 'access_token'), refresh: (await told(refresh, 'refresh_token')).active }
await revoke(refresh)
said.last = await told(refresh, 'refresh_token')
console.log(JSON.stringify(said))
