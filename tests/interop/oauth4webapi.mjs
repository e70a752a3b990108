// An application with oauth4webapi that registers itself (RFC 7591) by an initial access token, logs in with PKCE, reads userinfo, refreshes,
// introspects, revokes, gives the address that logs out, and removes its registration (RFC 7592).
//   node oauth4webapi.mjs ISSUER INITIAL_ACCESS_TOKEN REDIRECT_URI
import { webcrypto } from 'node:crypto'
import http from 'node:http'
import * as oauth from 'oauth4webapi'

globalThis.crypto ??= webcrypto

const [issuer, invitation, redirect] = process.argv.slice(2)
const plain = { [oauth.allowInsecureRequests]: issuer.startsWith('http:') }
const tell = (step, value) => process.stdout.write(JSON.stringify({ step, ...value }) + '\n')

const as = await oauth.discoveryRequest(new URL(issuer), plain).then((r) => oauth.processDiscoveryResponse(new URL(issuer), r))
const made = await oauth.dynamicClientRegistrationRequest(as, {
  client_name: 'oauth4webapi', redirect_uris: [redirect], post_logout_redirect_uris: [new URL('/', redirect).href], scope: 'openid profile offline_access',
  grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256',
}, { ...plain, initialAccessToken: invitation }).then((r) => oauth.processDynamicClientRegistrationResponse(r))
const client = { client_id: made.client_id, id_token_signed_response_alg: made.id_token_signed_response_alg }
const proof = oauth.ClientSecretBasic(made.client_secret)

const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce()
const address = new URL(as.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: client.client_id, redirect_uri: redirect, response_type: 'code', scope: 'openid profile offline_access', prompt: 'consent', state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
})) address.searchParams.set(name, value)

const back = await new Promise((resolve) => {
  const server = http.createServer((rq, rs) => {
    rs.end('<!doctype html><title>back</title><p id="back">back at the application</p>')
    if (rq.url.startsWith(new URL(redirect).pathname)) { server.close(); server.closeIdleConnections(); resolve(new URL(rq.url, redirect)) }
  }).listen(Number(new URL(redirect).port), '127.0.0.1', () => tell('open', { url: address.href }))
})
const params = oauth.validateAuthResponse(as, client, back, state)
const tokens = await oauth.authorizationCodeGrantRequest(as, client, proof, params, redirect, verifier, plain)
  .then((r) => oauth.processAuthorizationCodeResponse(as, client, r, { expectedNonce: nonce, requireIdToken: true }))
const claims = oauth.getValidatedIdTokenClaims(tokens)
tell('tokens', { claims, token_type: tokens.token_type, expires_in: tokens.expires_in, refresh: Boolean(tokens.refresh_token) })

const introspect = (token) => oauth.introspectionRequest(as, client, proof, token, plain).then((r) => oauth.processIntrospectionResponse(as, client, r))
const refresh = (token) => oauth.refreshTokenGrantRequest(as, client, proof, token, plain).then((r) => oauth.processRefreshTokenResponse(as, client, r))
tell('userinfo', { userinfo: await oauth.userInfoRequest(as, client, tokens.access_token, plain).then((r) => oauth.processUserInfoResponse(as, client, claims.sub, r)) })
tell('introspection', { answer: await introspect(tokens.access_token) })

const fresh = await refresh(tokens.refresh_token)
tell('refreshed', { rotated: fresh.refresh_token !== tokens.refresh_token, same: oauth.getValidatedIdTokenClaims(fresh)?.sub === claims.sub, newer: fresh.access_token !== tokens.access_token })

await oauth.revocationRequest(as, client, proof, fresh.refresh_token, plain).then((r) => oauth.processRevocationResponse(r))
const dead = await refresh(fresh.refresh_token).then(() => 'accepted', (e) => e.error ?? String(e))
tell('revoked', { refresh_after: dead, active_after: (await introspect(fresh.access_token)).active })

const out = new URL(as.end_session_endpoint)
for (const [name, value] of Object.entries({ id_token_hint: tokens.id_token, post_logout_redirect_uri: new URL('/', redirect).href, state: 'tam-biet' })) out.searchParams.set(name, value)
tell('logout', { url: out.href })
tell('registration', { uri: made.registration_client_uri, token: made.registration_access_token })
