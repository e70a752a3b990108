#include "code.h"
#include "hash.h"
#include "json.h"
#include "rand.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The load of the benchmarks: N keep-alive connections to one address on this machine, each walking a scenario again and again for a
 * bounded time; prints one JSON line: {"scenario","connections","seconds","done","failed","per_second","p50_ms","p99_ms"}. */

enum { MAX_CONNECTIONS = 2048, BUFFER = 65536, MAX_TOKENS = 256 };

struct plan {
	const char *scenario, *client, *secret, *client_key, *redirect, *cookie, *cert, *key, *origin, *tokens_file;
	int port, connections, seconds;
	struct str basic;
	struct str tokens[MAX_TOKENS];
	size_t ntokens;
	struct str cert_b64;
	EVP_PKEY *signer, *client_signer;
};

struct conn {
	const struct plan *plan;
	int fd, nth;
	struct arena *a;
	char *in;
	size_t head, n;              /* the last answer: its head ends at head, its body at n */
	int status;
	struct str cookies, begun, kept_cookies;
	EVP_PKEY *held;              /* what its proofs are made with, and the public half */
	struct str jwk;
	char refresh[128];           /* its refresh token; "" = not signed in */
	int64_t *took;               /* microseconds of each walk */
	size_t done, cap, failed;
	char sample[300];            /* of the first failure */
};

static volatile bool over;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- one request ---------------------------------------------------------------------------------------------------- */

static bool open_conn(struct conn *c)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->plan->port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return c->fd >= 0 && connect(c->fd, (struct sockaddr *)&at, sizeof at) == 0;
}

static struct str header_of(struct conn *c, const char *name)
{
	size_t n = strlen(name);
	for (char *p = c->in; p && p < c->in + c->head; p = memchr(p, '\n', (size_t)(c->in + c->head - p)), p = p ? p + 1 : NULL)
		if (!strncasecmp(p, name, n) && p[n] == ':') {
			char *v = p + n + 1 + strspn(p + n + 1, " ");
			return str_dup(c->a, v, strcspn(v, "\r\n"));
		}
	return S("");
}

static bool receive(struct conn *c)
{
	c->head = c->n = 0;
	size_t want = 0;
	while (!c->head || c->n < want) {
		ssize_t k = recv(c->fd, c->in + c->n, BUFFER - 1 - c->n, 0);
		if (k <= 0)
			return false;
		c->n += (size_t)k;
		c->in[c->n] = 0;
		char *end = c->head ? NULL : strstr(c->in, "\r\n\r\n");
		if (end) {
			c->head = (size_t)(end - c->in) + 4;
			want = c->head + (size_t)atol(header_of(c, "Content-Length").p);
		}
	}
	c->status = atoi(c->in + 9);
	return true;
}

static bool ask(struct conn *c, const char *method, struct str target, struct str headers, struct str body)
{
	struct str text = str_fmt(c->a, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s", method, target.p, headers.p,
		body.n ? str_fmt(c->a, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n", body.n).p : "", "\r\n", body.p ? body.p : "");
	return send(c->fd, text.p, text.n, MSG_NOSIGNAL) == (ssize_t)text.n && receive(c);
}

static struct str body_of(struct conn *c) { return (struct str){ c->in + c->head, c->n - c->head }; }

static struct str between(struct conn *c, struct str s, const char *from, const char *to)
{
	const char *p = strstr(s.p, from);
	if (!p)
		return S("");
	p += strlen(from);
	return str_dup(c->a, p, strcspn(p, to));
}

/* ---- scenarios ---------------------------------------------------------------------------------------------------------- */

static bool client_credentials(struct conn *c)
{
	return ask(c, "POST", S("/token"), c->plan->basic, S("grant_type=client_credentials")) && c->status == 200;
}

/* The first token is the acting client's own, the others are citizens'. */
static bool token_exchange(struct conn *c)
{
	struct str t = c->plan->tokens[1 + (c->done + (size_t)c->nth * 7) % (c->plan->ntokens - 1)];
	return ask(c, "POST", S("/token"), c->plan->basic, str_fmt(c->a, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=bench-target"
		"&subject_token_type=urn:ietf:params:oauth:token-type:access_token&actor_token_type=urn:ietf:params:oauth:token-type:access_token"
		"&subject_token=%s&actor_token=%s", t.p, c->plan->tokens[0].p)) && c->status == 200;
}

static bool introspection(struct conn *c)
{
	struct str t = c->plan->tokens[(c->done + (size_t)c->nth * 7) % c->plan->ntokens];
	return ask(c, "POST", S("/introspect"), c->plan->basic, str_fmt(c->a, "token=%s", t.p)) && c->status == 200 && strstr(body_of(c).p, "\"active\":true");
}

static bool jwks(struct conn *c) { return ask(c, "GET", S("/.well-known/jwks.json"), S(""), S("")) && c->status == 200; }
static bool discovery(struct conn *c) { return ask(c, "GET", S("/.well-known/openid-configuration"), S(""), S("")) && c->status == 200; }

static struct str cookie_header(struct conn *c, struct str cookies) { return cookies.n ? str_fmt(c->a, "Cookie: %s\r\n", cookies.p) : S(""); }

static struct str request_of(struct conn *c, struct str verifier)
{
	struct buf b = buf_new(c->a, 1024, 8192);
	buf_fmt(&b, "response_type=code&scope=openid&client_id=%s&code_challenge_method=S256&code_challenge=%s&state=%s&nonce=%s&redirect_uri=",
		c->plan->client, hash_of(c->a, verifier).p, rand_token(c->a).p, rand_token(c->a).p);
	buf_url(&b, str_of(c->plan->redirect));
	return (struct str){ b.p, b.n };
}

static struct str authorize_target(struct conn *c, struct str verifier) { return str_fmt(c->a, "/authorize?%s", request_of(c, verifier).p); }

/* headers and more: how the client shows who it is */
static bool redeem(struct conn *c, struct str verifier, struct str headers, struct str more)
{
	struct str code = between(c, header_of(c, "Location"), "code=", "&");
	struct buf b = buf_new(c->a, 1024, 8192);
	if (!code.n)
		return false;
	buf_fmt(&b, "grant_type=authorization_code&code=%s&code_verifier=%s&redirect_uri=", code.p, verifier.p);
	buf_url(&b, str_of(c->plan->redirect));
	buf_str(&b, more);
	return ask(c, "POST", S("/token"), headers, (struct str){ b.p, b.n }) && c->status == 200;
}

static bool comes_signed_in(struct conn *c, struct str target)
{
	return ask(c, "GET", target, cookie_header(c, str_of(c->plan->cookie)), S("")) && c->status == 303;
}

/* Someone who is signed in opens one more application: authorization with PKCE, code, tokens. */
static bool code_flow(struct conn *c)
{
	struct str verifier = rand_token(c->a);
	return comes_signed_in(c, authorize_target(c, verifier)) && redeem(c, verifier, c->plan->basic, S(""));
}

/* RFC 7518 section 3.4: r || s */
static struct bytes es256(struct conn *c, EVP_PKEY *key, struct bytes input)
{
	unsigned char der[128], *raw = make_n(c->a, unsigned char, 64);
	size_t n = sizeof der;
	EVP_MD_CTX *x = EVP_MD_CTX_new();
	if (EVP_DigestSignInit(x, NULL, EVP_sha256(), NULL, key) != 1 || EVP_DigestSign(x, der, &n, input.p, input.n) != 1)
		abort();
	EVP_MD_CTX_free(x);
	const unsigned char *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
	ECDSA_SIG_free(sig);
	return (struct bytes){ raw, 64 };
}

static struct str jws(struct conn *c, EVP_PKEY *key, struct str head, struct str claims)
{
	struct str input = str_fmt(c->a, "%s.%s", b64url(c->a, str_bytes(head)).p, b64url(c->a, str_bytes(claims)).p);
	return str_fmt(c->a, "%s.%s", input.p, b64url(c->a, es256(c, key, str_bytes(input))).p);
}

/* RFC 9449 section 4.2 */
static struct str proof(struct conn *c, const char *path)
{
	struct str head = str_fmt(c->a, "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":%s}", c->jwk.p);
	struct str claims = str_fmt(c->a, "{\"htm\":\"POST\",\"htu\":\"%s%s\",\"iat\":%lld,\"jti\":\"%s\"}", c->plan->origin, path,
		(long long)time(NULL), rand_token(c->a).p);
	return str_fmt(c->a, "DPoP: %s\r\n", jws(c, c->held, head, claims).p);
}

/* RFC 7523 section 2.2 */
static struct str assertion(struct conn *c)
{
	const char *id = c->plan->client;
	struct str claims = str_fmt(c->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"exp\":%lld,\"jti\":\"%s\"}", id, id, c->plan->origin,
		(long long)time(NULL) + 60, rand_token(c->a).p);
	return str_fmt(c->a, "&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-bearer&client_assertion=%s",
		jws(c, c->plan->client_signer, S("{\"alg\":\"ES256\"}"), claims).p);
}

/* The same by FAPI 2.0 (section 5.3.2): the request is pushed, the client signs who it is, and what it gets is bound to the key of its proofs. */
static bool fapi_flow(struct conn *c)
{
	struct str verifier = rand_token(c->a), request = str_fmt(c->a, "%s%s", request_of(c, verifier).p, assertion(c).p);
	if (!ask(c, "POST", S("/par"), proof(c, "/par"), request) || c->status != 201)
		return false;
	struct str uri = between(c, body_of(c), "\"request_uri\":\"", "\"");
	return comes_signed_in(c, str_fmt(c->a, "/authorize?client_id=%s&request_uri=%s", c->plan->client, uri.p))
		&& redeem(c, verifier, proof(c, "/token"), assertion(c));
}

static bool keep_refresh(struct conn *c)
{
	int n = snprintf(c->refresh, sizeof c->refresh, "%s", between(c, body_of(c), "\"refresh_token\":\"", "\"").p);
	return n > 0 && n < (int)sizeof c->refresh && strstr(body_of(c).p, "\"token_type\":\"DPoP\"");
}

static bool first_refresh(struct conn *c)
{
	struct str verifier = rand_token(c->a);
	return comes_signed_in(c, authorize_target(c, verifier))
		&& redeem(c, verifier, proof(c, "/token"), str_fmt(c->a, "&client_id=%s", c->plan->client)) && keep_refresh(c);
}

/* An application without a secret keeps its citizen signed in: each token is good with a proof by its key, once, for its successor. */
static bool dpop_refresh(struct conn *c)
{
	if (!*c->refresh && !first_refresh(c))
		return false;
	struct str form = str_fmt(c->a, "grant_type=refresh_token&client_id=%s&refresh_token=%s", c->plan->client, c->refresh);
	*c->refresh = 0;
	return ask(c, "POST", S("/token"), proof(c, "/token"), form) && c->status == 200 && keep_refresh(c);
}

static struct str path_of(struct conn *c, struct str url)
{
	const char *p = strstr(url.p, "://");
	p = p ? strchr(p + 3, '/') : url.p;
	return str_dup(c->a, p ? p : "/", strlen(p ? p : "/"));
}

static void keep_cookie(struct conn *c)
{
	struct str v = header_of(c, "Set-Cookie");
	if (v.n)
		c->cookies = str_fmt(c->a, "%s%s%.*s", c->cookies.n ? c->cookies.p : "", c->cookies.n ? "; " : "", (int)strcspn(v.p, ";"), v.p);
}

static bool follow(struct conn *c)
{
	keep_cookie(c);
	return c->status == 303 && ask(c, "GET", path_of(c, header_of(c, "Location")), cookie_header(c, c->cookies), S(""));
}

/* A Web eID token over this page's challenge (SIGNATURES.md 2.1), ES256. */
static struct str token_for(struct conn *c, struct str nonce)
{
	unsigned char m[64];
	sha256(c->plan->origin, strlen(c->plan->origin), m);
	sha256(nonce.p, nonce.n, m + 32);
	return str_fmt(c->a, "{\"unverifiedCertificate\":\"%s\",\"algorithm\":\"ES256\",\"signature\":\"%s\",\"format\":\"web-eid:1.0\"}",
		c->plan->cert_b64.p, b64(c->a, es256(c, c->plan->signer, (struct bytes){ m, sizeof m })).p);
}

static bool answer_challenge(struct conn *c)
{
	struct str page = body_of(c), nonce = between(c, page, "data-nonce=\"", "\""), csrf = between(c, page, "name=\"csrf\" value=\"", "\"");
	struct str i = between(c, page, "name=\"i\" value=\"", "\"");
	struct buf b = buf_new(c->a, 4096, 32768);
	buf_fmt(&b, "i=%s&csrf=%s&token=", i.p, csrf.p);
	buf_url(&b, token_for(c, nonce));
	return nonce.n && ask(c, "POST", S("/login/token"), cookie_header(c, c->cookies), (struct str){ b.p, b.n }) && c->status == 303;
}

static bool to_challenge(struct conn *c)
{
	struct str none = S("");
	c->cookies = none;
	if (!ask(c, "GET", authorize_target(c, rand_token(c->a)), S(""), S("")) || !follow(c))
		return false;
	return c->status == 200 || follow(c);
}

/* From the application's request to its code: the redirects, the page, the signed challenge, the session, the code. */
static bool certificate_flow(struct conn *c)
{
	return to_challenge(c) && answer_challenge(c) && follow(c) && c->status == 303 && strstr(header_of(c, "Location").p, "code=");
}

/* The login itself: a page with a fresh challenge, and the answer to it, which gives a session. One sign-in is begun for each connection. */
static bool certificate_login(struct conn *c)
{
	if (!c->begun.p) {
		if (!to_challenge(c))
			return false;
		struct arena *kept = arena_new();
		c->begun = str_fmt(kept, "/login/token?i=%s", between(c, body_of(c), "name=\"i\" value=\"", "\"").p);
		c->kept_cookies = str_copy(kept, c->cookies);
	}
	c->cookies = c->kept_cookies;
	return ask(c, "GET", c->begun, cookie_header(c, c->cookies), S("")) && c->status == 200 && answer_challenge(c);
}

static const struct scenario { const char *name; bool (*walk)(struct conn *); } SCENARIOS[] = {
	{ "client_credentials", client_credentials }, { "introspection", introspection }, { "token_exchange", token_exchange }, { "jwks", jwks }, { "discovery", discovery },
	{ "code_flow", code_flow }, { "certificate_login", certificate_login },
	{ "certificate_flow", certificate_flow }, { "fapi_flow", fapi_flow }, { "dpop_refresh", dpop_refresh },
};

/* ---- running ---------------------------------------------------------------------------------------------------------------- */

static void walked(struct conn *c, int64_t us)
{
	if (c->done == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 4096;
		c->took = realloc(c->took, c->cap * sizeof *c->took);
		if (!c->took)
			abort();
	}
	c->took[c->done++] = us;
}

/* Each connection is an application of its own. */
static void hold_key(struct conn *c)
{
	unsigned char *at = NULL;            /* 04 || x || y */
	struct arena *kept = arena_new();
	c->held = EVP_EC_gen("P-256");
	if (!c->held || EVP_PKEY_get1_encoded_public_key(c->held, &at) != 65)
		abort();
	c->jwk = str_fmt(kept, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", b64url(kept, (struct bytes){ at + 1, 32 }).p,
		b64url(kept, (struct bytes){ at + 33, 32 }).p);
	OPENSSL_free(at);
}

static void *run(void *p)
{
	struct conn *c = p;
	bool (*walk)(struct conn *) = NULL;
	for (size_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++)
		if (!strcmp(SCENARIOS[i].name, c->plan->scenario))
			walk = SCENARIOS[i].walk;
	if (!walk)
		abort();
	hold_key(c);
	bool open = open_conn(c);
	while (!over) {
		int64_t began = now_us();
		if (open && walk(c)) {
			walked(c, now_us() - began);
		} else {
			if (!c->failed++)
				snprintf(c->sample, sizeof c->sample, "%d %.250s", c->status, c->in + c->head);
			open = open_conn(c);
			if (c->failed > 1000)
				break;
		}
		arena_reset(c->a);
	}
	close(c->fd);
	EVP_PKEY_free(c->held);
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void report(const struct plan *plan, struct conn *conns, double seconds)
{
	size_t done = 0, failed = 0, at = 0;
	for (int i = 0; i < plan->connections; i++)
		done += conns[i].done, failed += conns[i].failed;
	int64_t *all = calloc(done + 1, sizeof *all);
	if (!all)
		abort();
	for (int i = 0; i < plan->connections; i++) {
		if (conns[i].done)
			memcpy(all + at, conns[i].took, conns[i].done * sizeof *all);
		at += conns[i].done;
		if (conns[i].failed && conns[i].sample[0]) {
			fprintf(stderr, "a failure: %s\n", conns[i].sample);
			break;
		}
	}
	qsort(all, at, sizeof *all, by_size);
	printf("{\"scenario\":\"%s\",\"connections\":%d,\"seconds\":%.2f,\"done\":%zu,\"failed\":%zu,\"per_second\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n",
		plan->scenario, plan->connections, seconds, done, failed, (double)done / seconds,
		at ? (double)all[at / 2] / 1000 : 0, at ? (double)all[at * 99 / 100] / 1000 : 0);
	free(all);
}

static const char *argument(int argc, char **argv, const char *name, const char *unsaid)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return unsaid;
}

static void read_tokens(struct arena *a, struct plan *p)
{
	FILE *f = *p->tokens_file ? fopen(p->tokens_file, "r") : NULL;
	static char line[16384];
	while (f && p->ntokens < MAX_TOKENS && fgets(line, sizeof line, f))
		p->tokens[p->ntokens++] = str_dup(a, line, strcspn(line, "\r\n"));
	if (f)
		fclose(f);
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
	if (f)
		fclose(f);
	if (*path && !key) {
		fprintf(stderr, "%s does not read\n", path);
		exit(2);
	}
	return key;
}

static struct str read_cert(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	unsigned char *der = NULL;
	int n = x ? i2d_X509(x, &der) : 0;
	if (f)
		fclose(f);
	if (*path && n <= 0) {
		fprintf(stderr, "%s does not read\n", path);
		exit(2);
	}
	struct str text = b64(a, (struct bytes){ der, n > 0 ? (size_t)n : 0 });
	OPENSSL_free(der);
	X509_free(x);
	return text;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct plan p = {
		.scenario = argument(argc, argv, "--scenario", "jwks"), .client = argument(argc, argv, "--client", ""), .secret = argument(argc, argv, "--secret", ""),
		.client_key = argument(argc, argv, "--client-key", ""), .redirect = argument(argc, argv, "--redirect", ""), .cookie = argument(argc, argv, "--cookie", ""),
		.cert = argument(argc, argv, "--cert", ""), .key = argument(argc, argv, "--key", ""), .origin = argument(argc, argv, "--origin", ""),
		.tokens_file = argument(argc, argv, "--tokens", ""), .port = atoi(argument(argc, argv, "--port", "28080")),
		.connections = atoi(argument(argc, argv, "--connections", "64")), .seconds = atoi(argument(argc, argv, "--seconds", "5")),
	};
	if (p.connections < 1 || p.connections > MAX_CONNECTIONS || p.seconds < 1 || p.seconds > 120)
		return 2;
	struct str pair = str_fmt(a, "%s:%s", p.client, p.secret);
	p.basic = str_fmt(a, "Authorization: Basic %s\r\n", b64(a, str_bytes(pair)).p);
	read_tokens(a, &p);
	p.signer = read_key(p.key);
	p.client_signer = read_key(p.client_key);
	p.cert_b64 = read_cert(a, p.cert);

	struct conn *conns = calloc((size_t)p.connections, sizeof *conns);
	pthread_t *threads = calloc((size_t)p.connections, sizeof *threads);
	if (!conns || !threads)
		abort();
	int64_t began = now_us();
	for (int i = 0; i < p.connections; i++) {
		conns[i] = (struct conn){ .plan = &p, .fd = -1, .nth = i, .a = arena_new(), .in = calloc(1, BUFFER), .cookies = S("") };
		pthread_create(&threads[i], NULL, run, &conns[i]);
	}
	struct timespec nap = { p.seconds, 0 };
	nanosleep(&nap, NULL);
	over = true;
	for (int i = 0; i < p.connections; i++)
		pthread_join(threads[i], NULL);
	report(&p, conns, (double)(now_us() - began) / 1e6);
	return 0;
}
