#pragma once
#include "client.h"
#include "fetch.h"

/* Asking the servers of applications. Where they are is a registration's word, so: https, or plain http on the loopback where the operator
 * let it into [outgoing] networks; only public addresses and those networks are connected to; no redirects; little time and size. SEC-29 */
bool outside_fit(const struct house *, struct str url);
struct fetch_ask outside_ask(const struct house *, struct str url);      /* a GET; the caller may change what it asks */

/* What clients publish at addresses of their own, kept for a while. While one is being fetched the request is parked (server.h): the error
 * is PARKED, and the handler runs again; so it is read before anything is changed. UNAVAILABLE when it cannot be had, or what asks is no request that could wait; then it is asked for
 * again REMOTE_RETRY seconds later. A document that could be had before stands in for REMOTE_STALE seconds. */
enum { REMOTE_FRESH = 300, REMOTE_AGAIN = 10, REMOTE_RETRY = 5, REMOTE_STALE = 3600, REMOTE_MAX = 32 * 1024 };
err remotes_new(struct arena *a, struct remotes **out);
void remotes_free(struct remotes *);

/* The keys of a client: those that it registered, or those that it publishes at its jwks_uri. A kid that is not among them makes us look
 * again, unless that was done within REMOTE_AGAIN seconds. They live as long as the request. */
err client_keys(struct req *rq, const struct client *, struct str kid, const struct key_set **out);
/* The keys at an address that the operator named, in the same way. */
err keys_at(struct req *rq, struct str jwks_uri, struct str kid, const struct key_set **out);
/* The same for whoever misses a key for which there is no kid. */
err client_keys_anew(struct req *rq, const struct client *, const struct key_set **out);

/* A document as text, no older than `since`. */
err remote_text(struct req *rq, struct str url, epoch since, struct str *out);
