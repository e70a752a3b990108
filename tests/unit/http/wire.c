#include "wire.h"
#include "buf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct house *wire_house(void)
{
	static struct house h;
	h.issuer = h.origin = S("http://127.0.0.1");
	memset(&h.secrets, 7, sizeof h.secrets);
	return &h;
}

static char folder[] = "/tmp/motid-http-XXXXXX";
static int gone(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st, (void)what, (void)at;
	return remove(path);
}
static void folder_end(void) { nftw(folder, gone, 8, FTW_DEPTH | FTW_PHYS); }

struct str wire_path(struct arena *a, const char *name)
{
	static bool made;
	if (!made) {
		assert_non_null(mkdtemp(folder));
		atexit(folder_end);
		made = true;
	}
	return str_fmt(a, "%s/%s", folder, name);
}

struct server *wire_server(struct arena *a, struct server_conf *conf)
{
	static int count;
	struct server *s;
	char name[32];
	snprintf(name, sizeof name, "s%d", count++);
	if (!conf->n)
		conf->listens[conf->n++].where = str_fmt(a, "unix:%s", wire_path(a, name).p);
	conf->house = conf->house ? conf->house : wire_house();
	conf->workers = conf->workers ? conf->workers : 4;
	conf->deadline_ms = conf->deadline_ms ? conf->deadline_ms : 20000;
	conf->connections = conf->connections ? conf->connections : 1000;
	fine(server_start(a, conf, &s));
	return s;
}

int wire_connect(struct str where)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool local = str_starts(where, S("unix:"));
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	struct timeval patience = { 15, 0 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	int rc;
	if (local) {
		memcpy(un.sun_path, where.p + 5, where.n - 5);
		rc = connect(fd, (struct sockaddr *)(void *)&un, sizeof un);
	} else {
		in.sin_port = htons((uint16_t)atoi((const char *)memrchr(where.p, ':', where.n) + 1));
		rc = connect(fd, (struct sockaddr *)(void *)&in, sizeof in);
	}
	if (rc != 0)
		fail_msg("connect to %s: %s", where.p, strerror(errno));
	return fd;
}

/* The other side may have closed meanwhile: that is its answer, and is read later. */
void wire_send(int fd, struct str raw)
{
	while (raw.n) {
		ssize_t n = send(fd, raw.p, raw.n, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		raw.p += n, raw.n -= (size_t)n;
	}
}

struct str wire_all(struct arena *a, int fd)
{
	struct buf b = buf_new(a, 4096, 1 << 20);
	char part[4096];
	for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;)
		buf_add(&b, part, (size_t)n);
	return (struct str){ b.p, b.n };
}

static size_t length_of(struct str head)
{
	const char *l = strcasestr(head.p, "\r\nContent-Length:");
	return l ? (size_t)strtoul(l + 17, NULL, 10) : 0;
}

struct str wire_answer(struct arena *a, int fd)
{
	struct buf b = buf_new(a, 4096, 1 << 20);
	char c;
	size_t head = 0;
	while (!head || b.n < head + length_of((struct str){ b.p, head })) {
		if (recv(fd, &c, 1, 0) != 1)
			break;
		buf_char(&b, c);
		if (!head && b.n >= 4 && memcmp(b.p + b.n - 4, "\r\n\r\n", 4) == 0)
			head = b.n;
		if (head && (wire_status((struct str){ b.p, b.n }) == 204 || wire_status((struct str){ b.p, b.n }) == 100))
			break;
	}
	return (struct str){ b.p, b.n };
}

struct str wire_ask(struct arena *a, struct str where, struct str raw)
{
	int fd = wire_connect(where);
	wire_send(fd, raw);
	struct str got = wire_answer(a, fd);
	close(fd);
	return got;
}

int wire_status(struct str answer)
{
	return answer.n > 12 && memcmp(answer.p, "HTTP/1.", 7) == 0 ? atoi(answer.p + 9) : 0;
}

bool has_text(struct str s, const char *z) { return s.n && memmem(s.p, s.n, z, strlen(z)) != NULL; }

static size_t one(const char *p, struct buf *b)
{
	unsigned v;
	if (*p != '\\') {
		buf_char(b, *p);
		return 1;
	}
	if (p[1] == 'x' && sscanf(p + 2, "%2x", &v) == 1) {
		buf_char(b, (char)v);
		return 4;
	}
	buf_char(b, p[1] == 'r' ? '\r' : p[1] == 'n' ? '\n' : p[1] == 't' ? '\t' : p[1]);
	return 2;
}

struct str unescaped(struct arena *a, struct str s)
{
	struct buf b = buf_new(a, 4096, 1 << 20);
	for (const char *p = s.p, *end = s.p + s.n; p < end;) {
		const char *star = *p == '{' ? memchr(p, '*', (size_t)(end - p)) : NULL;
		if (!star) {
			p += one(p, &b);
			continue;
		}
		struct str unit = unescaped(a, str_dup(a, p + 1, (size_t)(star - p - 1)));
		for (long n = strtol(star + 1, NULL, 10); n > 0; n--)
			buf_str(&b, unit);
		p = (const char *)memchr(star, '}', (size_t)(end - star)) + 1;
	}
	return (struct str){ b.p, b.n };
}
