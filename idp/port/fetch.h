#pragma once
#include "err.h"
#include "str.h"

/* Asking another server over HTTP without holding a thread. One thread of the adapter drives all transfers; done is
 * called once for each, on that thread, and must be brief. http and https only, no redirects, no proxies from the
 * environment, bounded in size and time. */
struct fetch;

struct fetch_ask {
	struct str url, method;              /* "GET" or "POST" */
	struct str content_type, accept;
	struct bytes body;                   /* copied */
	size_t max;                          /* bytes of answer that are accepted */
	int64_t timeout_ms;                  /* total */
	struct str ca_file, cert_file, key_file; /* pinned trust and client certificate; "" = none */
	struct str header;                   /* one further header line, or "" */
	/* The url is a stranger's word: only public addresses are connected to, and these networks (words). It is decided about the address
	 * that the connection goes to, so that no name can mean one thing when it is looked at and another when it is used (SEC-29). */
	bool stranger;
	struct str networks;
};

/* status 0: no answer at all; why says why, in words for the log. body lives until done returns. */
struct fetch_answer { int status; struct str content_type; struct bytes body; const char *why; };

typedef void fetch_done(void *ctx, const struct fetch_answer *);
void fetch_start(struct fetch *, const struct fetch_ask *, fetch_done *done, void *ctx);
/* fn is called once, on the thread, ms from now, or sooner when the adapter closes. Must be brief. */
void fetch_after(struct fetch *, int64_t ms, void (*fn)(void *), void *ctx);
