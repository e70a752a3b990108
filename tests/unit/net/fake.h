#pragma once
#include <stdatomic.h>
#include "str.h"

/* An HTTP server in the test, that may misbehave: one thread listens on a free port of 127.0.0.1, and each connection has a
 * thread that reads requests and answers by `serve`. */
struct fake;
struct fake_request { struct str head, body; int fd; void *ctx; int connection, nth; };  /* nth request of its connection, from 0 */

/* true: the connection is kept for another request. The request lives in a, until serve returns. */
typedef bool fake_serve(struct arena *a, const struct fake_request *);

struct fake *fake_open(fake_serve *serve, void *ctx);
int fake_port(struct fake *);
int fake_connections(struct fake *);
void fake_close(struct fake *);              /* closes what is open, waits for the threads */

bool fake_say(int fd, const void *p, size_t n);
bool fake_answer(int fd, int status, struct str type, struct str body);
