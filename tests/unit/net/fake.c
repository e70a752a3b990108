#include "fake.h"
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096 };

struct fake {
	int fd, port;
	fake_serve *serve;
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t gone;
	int fds[MOST], n, open;
	bool closing;
};

struct talk { struct fake *f; int fd, nth; };

bool fake_say(int fd, const void *p, size_t n)
{
	for (const char *at = p; n; ) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += sent, n -= (size_t)sent;
	}
	return true;
}

bool fake_answer(int fd, int status, struct str type, struct str body)
{
	char head[256];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %d x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status, type.p, body.n);
	return fake_say(fd, head, (size_t)n) && fake_say(fd, body.p, body.n);
}

static size_t length_of(struct str head)
{
	const char *at = strcasestr(head.p, "\r\ncontent-length:");
	return at ? strtoul(at + 17, NULL, 10) : 0;
}

static bool read_request(struct arena *a, int fd, struct fake_request *rq)
{
	char *buf = arena_alloc(a, 1 << 18);
	size_t n = 0, head = 0, whole = SIZE_MAX;
	while (n < whole) {
		ssize_t got = recv(fd, buf + n, (1 << 18) - 1 - n, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
		buf[n] = 0;
		char *end = head ? NULL : strstr(buf, "\r\n\r\n");
		if (end) {
			head = (size_t)(end - buf) + 4;
			whole = head + length_of((struct str){ buf, head });
		}
	}
	rq->head = str_dup(a, buf, head);
	rq->body = str_dup(a, buf + head, n - head);
	return true;
}

static void *talk(void *p)
{
	struct talk t = *(struct talk *)p;
	free(p);
	struct arena *a = arena_new();
	struct fake_request rq = { .fd = t.fd, .ctx = t.f->ctx, .connection = t.nth };
	while (read_request(a, t.fd, &rq) && t.f->serve(a, &rq)) {
		rq.nth++;
		arena_reset(a);
	}
	arena_free(a);
	OPENSSL_thread_stop();               /* what it keeps for this thread is gone before whoever waits may end the process */
	pthread_mutex_lock(&t.f->lock);
	t.f->fds[t.nth] = -1;
	close(t.fd);
	t.f->open--;
	pthread_cond_broadcast(&t.f->gone);
	pthread_mutex_unlock(&t.f->lock);
	return NULL;
}

static void *listen_on(void *p)
{
	struct fake *f = p;
	for (int fd; (fd = accept(f->fd, NULL, NULL)) >= 0; ) {
		pthread_mutex_lock(&f->lock);
		bool take = f->n < MOST && !f->closing;
		struct talk *t = take ? malloc(sizeof *t) : NULL;
		if (t) {
			pthread_t thread;
			pthread_attr_t attr;
			*t = (struct talk){ f, fd, f->n };
			f->fds[f->n++] = fd;
			f->open++;
			pthread_attr_init(&attr);
			pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
			if (pthread_create(&thread, &attr, talk, t))
				abort();
			pthread_attr_destroy(&attr);
		} else {
			close(fd);
		}
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

struct fake *fake_open(fake_serve *serve, void *ctx)
{
	struct fake *f = calloc(1, sizeof *f);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	if (!f)
		abort();
	f->serve = serve, f->ctx = ctx;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->gone, NULL);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->fd, (struct sockaddr *)&at, sizeof at) || listen(f->fd, 4096) || getsockname(f->fd, (struct sockaddr *)&at, &n))
		abort();
	f->port = ntohs(at.sin_port);
	if (pthread_create(&f->thread, NULL, listen_on, f))
		abort();
	return f;
}

int fake_port(struct fake *f) { return f->port; }

int fake_connections(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	int n = f->n;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void shut_all(struct fake *f, int how)
{
	for (int i = 0; i < f->n; i++)
		if (f->fds[i] >= 0)
			shutdown(f->fds[i], how);
}

void fake_close(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	shut_all(f, SHUT_RD);                /* who was being answered is answered to the end */
	struct timespec patience;
	clock_gettime(CLOCK_REALTIME, &patience);
	patience.tv_sec += 1;
	while (f->open && pthread_cond_timedwait(&f->gone, &f->lock, &patience) == 0)
		;
	shut_all(f, SHUT_RDWR);              /* who is answered without end is not */
	while (f->open)
		pthread_cond_wait(&f->gone, &f->lock);
	pthread_mutex_unlock(&f->lock);
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->fd);
	free(f);
}
