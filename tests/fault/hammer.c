/* Many hands at one thing at once.
 *
 *     hammer PORT[,PORT...] HANDS [HEADER]
 *
 * Reads lines of "PATH BODY[\tPATH BODY...]". For each line all hands, each on a kept connection of its own (hand n to port n mod ports),
 * wait for one another and then POST at the same moment: hand n the n-th request of the line, beginning again after the last.
 * Prints a line of JSON for each: [[request, status, body], ...], body null unless it is an object. Status 0: no answer was had. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HANDS_MOST = 512, PORTS_MOST = 8, REQUESTS_MOST = 8, ANSWER_MOST = 64 * 1024, REQUEST_MOST = 32 * 1024, PATIENCE_S = 30 };

struct hand {
	pthread_t thread;
	int fd, port, status, request;
	char *in, *body;
};

static pthread_barrier_t ready, done;
static const char *header = "";
static char *requests[REQUESTS_MOST];
static int nrequests;
static bool over;

static bool dial(struct hand *h)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)h->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval t = { PATIENCE_S, 0 };
	int one = 1;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	return connect(h->fd, (struct sockaddr *)&at, sizeof at) == 0;
}

/* A kept connection that the server has closed meanwhile: nothing was sent on it yet. */
static bool stale(const struct hand *h)
{
	char c;
	return h->fd < 0 || recv(h->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static bool say(struct hand *h, const char *request)
{
	char text[REQUEST_MOST];
	const char *body = strchr(request, ' ');
	if (!body)
		return false;
	int path = (int)(body++ - request);
	int n = snprintf(text, sizeof text, "POST %.*s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n%s%s\r\n%s",
		path, request, h->port, strlen(body), header, *header ? "\r\n" : "", body);
	return n > 0 && n < REQUEST_MOST && send(h->fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

static bool hear(struct hand *h)
{
	size_t have = 0, need = ANSWER_MOST;
	char *end = NULL;
	while (have < need) {
		ssize_t n = recv(h->fd, h->in + have, ANSWER_MOST - 1 - have, 0);
		if (n <= 0)
			return false;
		h->in[have += (size_t)n] = 0;
		if (end || !(end = strstr(h->in, "\r\n\r\n")))
			continue;
		const char *length = strcasestr(h->in, "\r\nContent-Length:");
		h->body = end + 4;
		need = (size_t)(h->body - h->in) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
		if (need >= ANSWER_MOST)
			return false;
	}
	h->body[need - (size_t)(h->body - h->in)] = 0;
	return sscanf(h->in, "HTTP/1.1 %d", &h->status) == 1;
}

static void *work(void *p)
{
	struct hand *h = p;
	for (;;) {
		pthread_barrier_wait(&ready);
		if (over)
			return NULL;
		h->status = 0;
		bool open = !stale(h) || dial(h);
		if (!open || !say(h, requests[h->request % nrequests]) || !hear(h)) {
			h->status = 0;
			close(h->fd);
			h->fd = -1;
		}
		pthread_barrier_wait(&done);
	}
}

static void cut(char *line)
{
	char *rest = NULL;
	line[strcspn(line, "\n")] = 0;
	nrequests = 0;
	for (char *r = strtok_r(line, "\t", &rest); r && nrequests < REQUESTS_MOST; r = strtok_r(NULL, "\t", &rest))
		requests[nrequests++] = r;
}

static void report(struct hand *hands, int n)
{
	for (int i = 0; i < n; i++) {
		const struct hand *h = &hands[i];
		bool object = h->status && h->body[0] == '{' && !strchr(h->body, '\n');
		printf("%s[%d,%d,%s]", i ? "," : "[", h->request % nrequests, h->status, object ? h->body : "null");
	}
	puts("]");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct hand hands[HANDS_MOST];
	static char line[REQUEST_MOST * 2];
	int ports[PORTS_MOST], nports = 0, n = argc > 2 ? atoi(argv[2]) : 0;
	char *rest = NULL;
	if (n < 1 || n > HANDS_MOST)
		return 2;
	for (char *p = strtok_r(argv[1], ",", &rest); p && nports < PORTS_MOST; p = strtok_r(NULL, ",", &rest))
		ports[nports++] = atoi(p);
	if (argc > 3)
		header = argv[3];
	pthread_barrier_init(&ready, NULL, (unsigned)n + 1);
	pthread_barrier_init(&done, NULL, (unsigned)n + 1);
	for (int i = 0; i < n; i++) {
		hands[i] = (struct hand){ .fd = -1, .port = ports[i % nports], .request = i, .in = calloc(1, ANSWER_MOST) };
		if (!hands[i].in || pthread_create(&hands[i].thread, NULL, work, &hands[i]))
			return 1;
	}
	while (fgets(line, sizeof line, stdin)) {
		cut(line);
		if (!nrequests)
			continue;
		pthread_barrier_wait(&ready);
		pthread_barrier_wait(&done);
		report(hands, n);
	}
	over = true;
	pthread_barrier_wait(&ready);
	for (int i = 0; i < n; i++)
		pthread_join(hands[i].thread, NULL);
	return 0;
}
