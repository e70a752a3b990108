#include "wire.h"
#include "file.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The 49 requests of corpora/http-guard: straight at our socket, and through the proxies that stand before us. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int smuggled, disguised;

/* The app answers everything, and notes what should never have reached it. */
static err ep_any(struct req *rq, struct res *rs)
{
	pthread_mutex_lock(&lock);
	smuggled += str_is(rq->path, "/smuggled");
	disguised += param_there(&rq->headers, "x_client_cert") || param_there(&rq->headers, "x-client-cert");
	pthread_mutex_unlock(&lock);
	res_json(rs, 200, S("{\"app\":true}"));
	return OK;
}

static const struct route ROUTES[] = {
	{ "GET", "/*", ep_any, FAULTS_JSON, 0 },
	{ "POST", "/*", ep_any, FAULTS_JSON, 0 },
	{ 0 },
};
static const struct route *const TABLES[] = { ROUTES, NULL };

struct row { struct str name, expected, raw; };
struct rows { struct row v[128]; size_t n; };

static struct str cut(struct str *s, char c)
{
	const char *at = memchr(s->p, c, s->n);
	struct str first = { s->p, at ? (size_t)(at - s->p) : s->n };
	*s = at ? (struct str){ at + 1, s->n - first.n - 1 } : S("");
	return first;
}

static const struct rows *rows(struct arena *a)
{
	struct str text;
	struct rows *l = make(a, struct rows);
	if (!t_corpora())
		skip();
	fine(file_read(a, str_fmt(a, "%s/http-guard/http-guard.tsv", t_corpora()).p, 1 << 20, &text));
	while (text.n) {
		struct str line = cut(&text, '\n');
		if (!line.n || line.p[0] == '#')
			continue;
		struct row *r = &l->v[l->n++];
		r->name = str_copy(a, cut(&line, '\t'));
		r->expected = str_copy(a, cut(&line, '\t'));
		r->raw = unescaped(a, line);
	}
	assert_true(l->n >= 49);
	return l;
}

/* What is not done as the list says, each with its reason. A row that does as the list says must go from here. */
struct exception { const char *name, *reason; };
static const struct exception OURS[] = {
	{ "chunk ext", "no body in chunks is taken at all: 411, RFC 9112 section 6.3; nginx in front hands on a length" },
	{ 0 },
}, BEHIND_NGINX[] = {
	{ 0 },
}, BEHIND_HAPROXY[] = {
	{ "chunk ext", "HAProxy hands chunks on as chunks, which are not taken: 411" },
	{ "two CL same", "HAProxy takes a repeated equal length for one (RFC 9110 section 8.6): what follows is a request of its own, read so by both" },
	{ "CL \"3, 3\"", "the same" },
	{ 0 },
};

static const char *excepted(const struct exception *l, struct str name)
{
	for (; l->name; l++)
		if (str_is(name, l->name))
			return l->reason;
	return NULL;
}

struct seen { int status, answers; };

/* Sends, and reads answer after answer until the other side closes: it must, and a second answer is what smuggling looks
 * like from outside. (The library prints the head of an error of its own twice; as framed that is one answer.) */
static struct seen ask(struct arena *a, struct str where, struct str raw)
{
	struct seen s = { 0 };
	int fd = wire_connect(where);
	wire_send(fd, raw);
	for (struct str one; (one = wire_answer(a, fd)).n; s.answers += wire_status(one) > 0)
		s.status = s.status ? s.status : wire_status(one);
	close(fd);
	return s;
}

static bool as_listed(struct str expected, const struct seen *s)
{
	if (str_is(expected, "accept"))
		return s->status == 200 && s->answers == 1;
	if (str_is(expected, "reject-close"))
		return s->answers <= 1 && (s->answers == 0 || s->status >= 400);
	if (str_is(expected, "400-app"))
		return s->answers == 1 && s->status == 400;
	if (str_is(expected, "ignored-header"))
		return s->status == 200 && disguised == 0;
	return str_is(expected, "policy") && s->answers <= 1;
}

TEST(straight_at_our_socket_every_request_of_the_list_is_answered_as_listed)
{
	struct arena *a = arena_new();
	const struct rows *l = rows(a);
	struct server_conf conf = { .tables = TABLES, .deadline_ms = 400 };
	struct server *s = wire_server(a, &conf);
	int wrong = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct seen seen = ask(a, server_where(s, a, 0), l->v[i].raw);
		bool good = as_listed(l->v[i].expected, &seen) && smuggled == 0;
		const char *reason = excepted(OURS, l->v[i].name);
		if (good == (reason == NULL))
			continue;
		wrong++;
		print_message("%s: wanted %s, got %d (%d answers)%s\n", l->v[i].name.p, l->v[i].expected.p, seen.status, seen.answers, reason ? "; it is excepted and need not be" : "");
	}
	server_stop(s);
	assert_int_equal(smuggled, 0);
	assert_int_equal(wrong, 0);
	arena_free(a);
}

/* ---- through the proxies ---- */

/* Upstream connections are kept, so that a request which two sides read differently would be answered with the next one. */
static const char NGINX[] =
	"daemon off; master_process off; pid %1$s.pid; error_log %1$s.log; events { }\n"
	"http {\n"
	" access_log off; client_body_temp_path %1$s.b; proxy_temp_path %1$s.p; fastcgi_temp_path %1$s.f; uwsgi_temp_path %1$s.u; scgi_temp_path %1$s.s;\n"
	" keepalive_timeout 200ms; client_header_timeout 300ms; client_body_timeout 300ms;\n"
	" upstream app { server %2$s; keepalive 8; }\n"
	" server { listen unix:%1$s; location / {\n"
	"  proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;\n"
	"  proxy_set_header X-Forwarded-For 127.0.0.1; proxy_set_header Client-Cert ''; } }\n"
	"}\n";
static const char HAPROXY[] =
	"defaults\n mode http\n timeout connect 2s\n timeout client 400ms\n timeout server 2s\n timeout http-request 300ms\n timeout http-keep-alive 200ms\n"
	" option http-buffer-request\n http-reuse always\n"
	"frontend f\n bind unix@%1$s\n http-request del-header Client-Cert\n http-request set-header X-Forwarded-For 127.0.0.1\n default_backend b\n"
	"backend b\n server s unix@%3$s\n";

static pid_t start(struct arena *a, const char *program, const char *flag, const char *text, struct str front, struct str app)
{
	struct str path = str_fmt(a, "%s.conf", front.p);
	FILE *f = fopen(path.p, "w");
	assert_non_null(f);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(f, text, front.p, app.p, app.p + 5);
#pragma GCC diagnostic pop
	fclose(f);
	pid_t pid = fork();
	if (pid == 0) {
		execl(program, program, flag, path.p, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void await(pid_t pid, struct str front)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	memcpy(at.sun_path, front.p, front.n);
	for (int i = 0; i < 500; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		bool up = connect(fd, (struct sockaddr *)(void *)&at, sizeof at) == 0;
		close(fd);
		if (up)
			return;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			fail_msg("the proxy did not start");
		poll(NULL, 0, 10);
	}
	fail_msg("the proxy does not listen");
}

/* A row that the proxy reads as one thing and we as another shows as /smuggled, or as an answer too many. */
static void through(const char *program, const char *flag, const char *text, const char *name, const struct exception *known)
{
	if (access(program, X_OK) != 0)
		skip();
	struct arena *a = arena_new();
	const struct rows *l = rows(a);
	struct server_conf conf = { .tables = TABLES, .deadline_ms = 2000 };
	conf.listens[conf.n++] = (struct listen){ str_fmt(a, "unix:%s", wire_path(a, str_fmt(a, "%s.app", name).p).p), true, true };
	struct server *s = wire_server(a, &conf);
	struct str front = wire_path(a, name);
	pid_t pid = start(a, program, flag, text, front, server_where(s, a, 0));
	await(pid, front);
	int wrong = 0;
	for (size_t i = 0; i < l->n; i++) {
		smuggled = disguised = 0;
		struct seen seen = ask(a, str_fmt(a, "unix:%s", front.p), l->v[i].raw);
		bool good = !smuggled && !disguised && (!str_is(l->v[i].expected, "accept") || seen.status == 200) && seen.status != 0;
		good |= !smuggled && !disguised && str_is(l->v[i].expected, "reject-close");
		const char *reason = excepted(known, l->v[i].name);
		if (good == (reason == NULL))
			continue;
		wrong++;
		print_message("%s, %s: wanted %s, got %d (%d answers, %d smuggled, %d disguised)%s\n", name, l->v[i].name.p, l->v[i].expected.p, seen.status, seen.answers,
		              smuggled, disguised, reason ? "; it is excepted and need not be" : "");
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	server_stop(s);
	assert_int_equal(wrong, 0);
	arena_free(a);
}

TEST(through_nginx_nothing_is_smuggled)
{
	through("/usr/sbin/nginx", "-c", NGINX, "nginx", BEHIND_NGINX);
}

TEST(through_haproxy_nothing_is_smuggled)
{
	through("/usr/sbin/haproxy", "-f", HAPROXY, "haproxy", BEHIND_HAPROXY);
}
