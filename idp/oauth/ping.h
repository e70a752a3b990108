#pragma once
#include "ciba.h"

/* What a client is told when its request is decided: that there is something to fetch (ping), or the thing itself (push). */
struct ping {
	struct ping *next;
	struct arena *a;
	struct house *house;
	bool push;
	int runs, tries;                     /* of deciding, of sending */
	struct str auth_req_id, url, header, body;
};
void ping_send(struct ping *);           /* and frees it, when it was taken or given up */

/* The thread that decides what is to be pushed. Closed after whoever tells (mobile_close), before what it sends by (fetch_close). */
void pushes_add(struct pushes *, struct ping *);
