// oauth4webapi walks through a server: node oauth2_client.mjs BASE ID SECRET BACK TOKEN
// Arguments and answer are those of tests/python/oauth2_clients.py; BASE is discovered.
import * as oauth from 'oauth4webapi'

const [base, clientId, secret, back, userToken] = process.argv.slice(2)
const options = { [oauth.allowInsecureRequests]: true }
const client = { client_id: clientId }
const auth = oauth.ClientSecretBasic(secret)
const issuer = new URL(base)
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options })
const server = await oauth.processDiscoveryResponse(issuer, discovered)

// The user: opens the page, allows, and says where the browser was sent.
async function allow(url) {
  const headers = { authorization: `Bearer ${userToken}` }
  const page = await (await fetch(url, { headers })).text()
  const unescape = (text) =>
    text.replace(/&(quot|#39|lt|gt|amp);/g, (_, name) => ({ quot: '"', '#39': "'", lt: '<', gt: '>', amp: '&' })[name])
  const fields = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  const body = new URLSearchParams(fields.map(([, name, value]) => [name, unescape(value)]))
  body.set('decision', 'allow')
  const sent = await fetch(server.authorization_endpoint, { method: 'POST', headers, body, redirect: 'manual' })
  return sent.headers.get('location')
}

const scope = new URLSearchParams({ scope: 'read' })
const ownResponse = await oauth.clientCredentialsGrantRequest(server, client, auth, scope, options)
const own = await oauth.processClientCredentialsResponse(server, client, ownResponse)

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const url = new URL(server.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: clientId,
  redirect_uri: back,
  response_type: 'code',
  scope: 'read',
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})) {
  url.searchParams.set(name, value)
}
// It demands `iss` (RFC 9207), since the metadata promises it.
const parameters = oauth.validateAuthResponse(server, client, new URL(await allow(url)), state)
const response = await oauth.authorizationCodeGrantRequest(server, client, auth, parameters, back, verifier, options)
const first = await oauth.processAuthorizationCodeResponse(server, client, response)

async function refresh(token) {
  const response = await oauth.refreshTokenGrantRequest(server, client, auth, token.refresh_token, options)
  return oauth.processRefreshTokenResponse(server, client, response)
}
const refused = (token) => refresh(token).then(() => 'not refused', (error) => error.error)
const second = await refresh(first)
console.log(
  JSON.stringify({
    own: { expires_in: own.expires_in, refresh: 'refresh_token' in own },
    tokens: [first.access_token, second.access_token],
    replay: await refused(first),
    after: await refused(second),
  }),
)
