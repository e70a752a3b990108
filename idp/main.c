#include "account.h"
#include "anchors.h"
#include "backchannel.h"
#include "authorize.h"
#include "cli.h"
#include "clock.h"
#include "eph_open.h"
#include "errands.h"
#include "file.h"
#include "interaction.h"
#include "keys.h"
#include "log.h"
#include "login.h"
#include "net.h"
#include "oauth.h"
#include "oidc.h"
#include "pages.h"
#include "rand.h"
#include "remote.h"
#include "server.h"
#include "session.h"
#include "settings.h"
#include "sql.h"
#include "status_of.h"
#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The composition root: reads the configuration, opens the engines, serves. The only file that names every side. */

enum { MASTER_KEY = 32, OPENSSL_FLOOR = 0x30000160 };

static const struct route *const TABLES[] = {
	OIDC_ROUTES, OAUTH_ROUTES, REGISTER_ROUTES, AUTHORIZE_ROUTES, LOGIN_ROUTES, DEVICE_ROUTES, CIBA_ROUTES, SIM_ROUTES, TOKEN_ROUTES, TLS_ROUTES, LOGOUT_ROUTES, ACCOUNT_ROUTES, WEB_ROUTES, NULL,
};

/* ---- opening the house ------------------------------------------------------------------------------------------- */

/* Made at the first start, in the state folder. A file that the configuration names is never made: one that is missing is a mount that
 * failed, and a fresh key would open nothing that is stored. */
static err master_key_made(struct arena *a, const struct settings *c)
{
	unsigned char fresh[MASTER_KEY];
	if (!c->master_key_ours || access(c->master_key_file.p, F_OK) == 0)
		return OK;
	rand_fill(fresh, sizeof fresh);
	err e = file_write_new(a, c->master_key_file.p, 0600, (struct bytes){ fresh, sizeof fresh });
	return e.kind == &CONFLICT ? OK : e;       /* another process was first */
}

static err master_key(struct arena *a, const struct settings *c, struct secrets *out)
{
	struct str key;
	TRY(master_key_made(a, c));
	TRY(file_read_secret(a, c->master_key_file.p, 4096, &key));
	if (key.n < MASTER_KEY)
		return fault(a, &BAD_CONFIG, "%s: a master key has at least %d bytes, this one %zu", c->master_key_file.p, MASTER_KEY, key.n);
	secrets_from(str_bytes(key), out);
	return OK;
}

static err state_folder(struct arena *a, struct str path)
{
	if (mkdir(path.p, 0700) && errno != EEXIST)
		return fault(a, &BAD_CONFIG, "%s: %s", path.p, strerror(errno));
	return OK;
}

err house_open_tools(struct arena *a, const char *config, struct house **out)
{
	struct settings *c = make(a, struct settings);
	struct house *h = make(a, struct house);
	TRY(settings_load(a, config, c));
	TRY(state_folder(a, c->state));
	*h = (struct house){ .conf = c, .issuer = c->issuer, .origin = url_origin(a, c->issuer), .secure = str_starts(c->issuer, S("https:")) };
	TRY(master_key(a, c, &h->secrets));
	if (c->hsm_module.n)
		TRY(hsm_open(a, &(struct hsm_conf){ c->hsm_module, c->hsm_token, c->hsm_pin_file }, &h->hsm));
	TRY(store_open(a, c->store, &h->store));
	*out = h;
	return OK;
}

void house_close_tools(struct house *h)
{
	if (!h)
		return;
	store_close(h->store);
	hsm_close(h->hsm);
}

/* The embedded store is brought up to date by whoever opens it; a shared one only by `motid migrate up`, when its keeper says so. */
static err check_schema(struct arena *a, struct house *h)
{
	struct migration *list;
	size_t n;
	int64_t applied;
	if (str_starts(h->conf->store, S("sqlite:")))
		TRY(store_migrate_up(h->store, a, &applied));
	TRY(store_migrate_status(h->store, a, &list, &n));
	for (size_t i = 0; i < n; i++)
		if (!list[i].applied_at)
			return fault(a, &BAD_CONFIG, "the store lacks migration %lld (%s); run: motid migrate up", (long long)list[i].version, list[i].name.p);
	return OK;
}

static err open_mobile(struct arena *a, struct house *h)
{
	const struct settings *c = h->conf;
	if (!c->operators.n)
		return OK;
	TRY(pushes_new(h, a, &h->pushes));
	return mobile_open(a, h->fetch, c->operators.items, c->operators.n, c->profiles.items, c->profiles.n, &h->mobile);
}

static err house_open(struct arena *a, const char *config, struct house **out)
{
	TRY(house_open_tools(a, config, out));
	struct house *h = *out;
	TRY(check_schema(a, h));
	TRY(eph_open(a, h->conf->eph, &h->eph));
	h->errands = errands_new();
	TRY(fetch_open(a, &h->fetch));
	TRY(open_mobile(a, h));
	TRY(clients_new(a, &h->clients));
	TRY(anchors_new(a, &h->anchors));
	TRY(remotes_new(a, &h->remotes));
	TRY(statuses_new(a, &h->statuses));
	TRY(minted_new(a, &h->minted));
	TRY(shelf_new(a, &h->shelf));
	TRY(backchannel_new(h, a, &h->backchannel));
	TRY(keys_new(h, a, &h->keys));
	TRY(keys_keep(h, a));
	return backchannel_keep(h->backchannel, a);
}

static void house_close(struct house *h)
{
	if (!h)
		return;
	backchannel_stop(h->backchannel);
	mobile_close(h->mobile);
	errands_rest(h->errands);             /* what phones gave is kept, and who waits for it told, while there is somebody to tell it by */
	pushes_free(h->pushes);
	fetch_close(h->fetch);
	errands_free(h->errands);
	backchannel_free(h->backchannel);
	keys_free(h->keys);
	minted_free(h->minted);
	shelf_free(h->shelf);
	statuses_free(h->statuses);
	remotes_free(h->remotes);
	anchors_free(h->anchors);
	clients_free(h->clients);
	eph_close(h->eph);
	house_close_tools(h);
}

/* ---- serving -------------------------------------------------------------------------------------------------------- */

/* What is over is swept away in small steps, by one thread, once a minute. */
struct keeper { struct house *house; pthread_t thread; pthread_mutex_t lock; pthread_cond_t wake; bool stop; };

static err sweep(struct house *h, struct arena *a, epoch now)
{
	size_t ended;
	int64_t removed;
	TRY(sessions_expire(h, a, now, &ended));
	return store_expire(h->store, a, now, &removed);
}

static void *keep(void *p)
{
	struct keeper *k = p;
	struct arena *a = arena_new();
	pthread_mutex_lock(&k->lock);
	while (!k->stop) {
		struct timespec at;
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_sec += 60;
		pthread_cond_timedwait(&k->wake, &k->lock, &at);
		if (k->stop)
			break;
		pthread_mutex_unlock(&k->lock);
		err e = sweep(k->house, a, clock_ms() / 1000);
		if (e.kind)
			log_say(LOG_WARN, "nothing was swept", "why", e.why, NULL);
		arena_reset(a);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	arena_free(a);
	return NULL;
}

static void keeper_start(struct keeper *k)
{
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->wake, NULL);
	if (pthread_create(&k->thread, NULL, keep, k))
		abort();
}

static void keeper_stop(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
}

/* No core dumps and no debugger: the process holds keys. */
static void harden(void)
{
	struct rlimit none = { 0, 0 }, files;
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* SECURITY.md section 0.4: older ones have known holes in what we parse with them */
static err check_openssl(struct arena *a)
{
	if (OpenSSL_version_num() < OPENSSL_FLOOR)
		return fault(a, &BAD_CONFIG, "%s has known holes; upgrade libssl3 to 3.0.22 or later", OpenSSL_version(OPENSSL_VERSION));
	return OK;
}

static err listens(struct arena *a, const struct settings *c, struct server_conf *s)
{
	enum { MOST = sizeof s->listens / sizeof *s->listens };
	const struct { const struct strs *where; bool certificates; } BEHIND[] = { { &c->proxied, false }, { &c->certified, true } };
	s->listens[s->n++] = (struct listen){ c->listen, false, false };
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < BEHIND[k].where->n; i++) {
			if (s->n == MOST)
				return fault(a, &BAD_CONFIG, "more than %d listeners", MOST);
			s->listens[s->n++] = (struct listen){ BEHIND[k].where->v[i], true, BEHIND[k].certificates };
		}
	return OK;
}

static err serve_until_told(struct arena *a, const char *config)
{
	struct house *h = NULL;
	struct server *server;
	sigset_t told;
	int which;

	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGINT);
	pthread_sigmask(SIG_BLOCK, &told, NULL);     /* before any thread is born */
	signal(SIGPIPE, SIG_IGN);

	TRY(check_openssl(a));
	err e = house_open(a, config, &h);
	struct server_conf s = { .tables = TABLES, .house = h };
	if (!e.kind)
		e = listens(a, h->conf, &s);
	if (!e.kind) {
		s.workers = h->conf->workers;
		s.connections = h->conf->connections;
		s.deadline_ms = h->conf->deadline * 1000;
		e = server_start(a, &s, &server);
	}
	if (e.kind) {
		house_close(h);
		return e;
	}
	struct keeper keeper = { .house = h };
	keeper_start(&keeper);
	log_say(LOG_INFO, "listening", "where", h->conf->listen.p, "issuer", h->issuer.p, "store", str_starts(h->conf->store, S("sqlite:")) ? "sqlite" : "postgres", NULL);
	sigwait(&told, &which);
	log_say(LOG_INFO, "stopping", NULL);
	keeper_stop(&keeper);
	server_stop(server);
	house_close(h);
	return OK;
}

static int serve_main(int argc, char **argv)
{
	const char *config = cli_config(argc, argv);
	struct arena *a = arena_new();
	harden();
	json_object_seed(0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	err e = serve_until_told(a, config);
	if (e.kind)
		fprintf(stderr, "motid: %s\n", e.why);
	curl_global_cleanup();
	int status = e.kind ? 1 : 0;
	arena_free(a);
	return status;
}

int main(int argc, char **argv)
{
	return argc > 1 && !strcmp(argv[1], "serve") ? serve_main(argc, argv) : cli_main(argc, argv);
}
