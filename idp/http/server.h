#pragma once
#include "http.h"

/* The HTTP server (libmicrohttpd; mhd.c alone knows it). One epoll thread reads and writes; workers run handlers.
 *
 * listen: "127.0.0.1:28080", "[::1]:28080" or "unix:/run/motid.sock" (mode 0660). Behind a proxy the peer's address is read
 * from X-Forwarded-For, only on a listener with proxy = true: a unix socket, or a loopback address when the operator says so.
 * The client certificate is read from Client-Cert only where certificates = true as well: a proxy that asks for none hands on
 * what anybody writes into that header. Everywhere else those headers are ignored. */
struct listen { struct str where; bool proxy, certificates; };

struct server_conf {
	struct listen listens[4];
	size_t n;
	int64_t workers;                 /* threads that run handlers */
	int64_t deadline_ms;             /* a request that is not answered by then is answered 503 */
	int64_t connections;             /* at most, over all listeners */
	const struct route *const *tables;
	struct house *house;
};

struct server;
err server_start(struct arena *a, const struct server_conf *, struct server **out);
struct str server_where(const struct server *, struct arena *a, size_t i);  /* listens[i] as it was bound: port 0 has become a number */
void server_stop(struct server *);   /* lets what is running end, at most 10 s, then frees */

/* A handler that must wait for another server parks its request and returns the error that this gives (PARKED).
 *     if (!known) return house_park(rq, register_waiter, ctx);
 * wake(token) may be called from any thread, exactly once, also before the handler has returned. The handler is then run again
 * from its start with the same request and a fresh arena; it must have changed nothing before it parked. */
err request_park(struct req *rq, void **token);
void request_wake(void *token);
