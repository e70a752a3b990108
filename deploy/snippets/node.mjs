// A Node application with openid-client 6 (npm install openid-client): signs a person in with PKCE, reads userinfo, refreshes, introspects,
// revokes, signs out. Prints one line of JSON for each step; the person's part happens at the address of the first line.
import { webcrypto } from 'node:crypto'
import http from 'node:http'
import * as client from 'openid-client'

globalThis.crypto ??= webcrypto          // Debian 12's Node 18 does not have it there yet

const issuer = "@issuer@", id = "@client_id@", secret = "@client_secret@", redirect = "@redirect_uri@", signedOut = "@signed_out@"
const scope = "@scope@"
const tell = (step, value) => process.stdout.write(JSON.stringify({ step, ...value }) + '\n')

const options = issuer.startsWith('http:') ? { execute: [client.allowInsecureRequests] } : {}
const config = await client.discovery(new URL(issuer), id, undefined, client.ClientSecretBasic(secret), options)

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: redirect, scope, prompt: 'consent',
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce,
})

const back = new Promise((resolve) => {
  const server = http.createServer((rq, rs) => {
    rs.end('<!doctype html><title>back</title><p id="back">back at the application</p>')
    if (rq.url.startsWith(new URL(redirect).pathname)) { server.close(); server.closeIdleConnections(); resolve(new URL(rq.url, redirect)) }
  }).listen(Number(new URL(redirect).port), '127.0.0.1', () => tell('open', { url: address.href }))
})

const tokens = await client.authorizationCodeGrant(config, await back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true })
const claims = tokens.claims()
tell('tokens', { claims, token_type: tokens.token_type, expires_in: tokens.expires_in, refresh: Boolean(tokens.refresh_token) })

tell('userinfo', { userinfo: await client.fetchUserInfo(config, tokens.access_token, claims.sub) })
tell('introspection', { answer: await client.tokenIntrospection(config, tokens.access_token) })

const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
tell('refreshed', { rotated: fresh.refresh_token !== tokens.refresh_token, same: fresh.claims()?.sub === claims.sub, newer: fresh.access_token !== tokens.access_token })

await client.tokenRevocation(config, fresh.refresh_token)
const dead = await client.refreshTokenGrant(config, fresh.refresh_token).then(() => 'accepted', (e) => e.error ?? String(e))
tell('revoked', { refresh_after: dead, active_after: (await client.tokenIntrospection(config, fresh.access_token)).active })

tell('logout', { url: client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: signedOut, state: 'tam-biet' }).href })
