#pragma once
#include "t.h"
#include "server.h"
#include "house.h"

/* A house with nothing in it but its names, and a server on a socket of its own. */
struct house *wire_house(void);                           /* http://127.0.0.1, not secure; static */
struct server *wire_server(struct arena *a, struct server_conf *conf);   /* fills what is 0; one unix listener when there is none */
int wire_connect(struct str where);
void wire_send(int fd, struct str raw);
struct str wire_all(struct arena *a, int fd);             /* until the other side closes */
struct str wire_answer(struct arena *a, int fd);          /* one answer with Content-Length; "" when the other side closed */
struct str wire_ask(struct arena *a, struct str where, struct str raw);  /* connect, send, one answer */
int wire_status(struct str answer);
struct str wire_path(struct arena *a, const char *name);  /* of a file in this test's own folder, which goes when the test ends */
bool has_text(struct str s, const char *z);
struct str unescaped(struct arena *a, struct str s);      /* \r \n \t \xHH and {a*N} as in http-guard.tsv */
