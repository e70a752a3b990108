#pragma once
#include "house.h"

/* Telling applications that sessions are over (OpenID Connect Back-Channel Logout 1.0). The store queues a delivery in the transaction that
 * ends a session; here what is due is claimed, signed and sent, and what came of it is written down. All processes do so at once, and
 * each delivery is one's. It is told at least once: when a process is killed between the claim and the answer, another tells it again. */
err backchannel_new(struct house *, struct arena *a, struct backchannel **out);
void backchannel_free(struct backchannel *);         /* after fetch_close: answers come until then */

/* What was answered is written down, and what is due is sent. *open: how many have not been answered yet. */
err backchannel_turn(struct backchannel *, struct arena *a, epoch now, size_t *open);

/* A thread that takes a turn every second, until it is stopped. */
err backchannel_keep(struct backchannel *, struct arena *a);
void backchannel_stop(struct backchannel *);
