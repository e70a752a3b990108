#include "decoupled.h"
#include "audit_of.h"
#include "code.h"
#include "hash.h"
#include "rand.h"
#include "settings.h"

/* Device authorization: RFC 8628. The page where the person types the code is idp/login/device.c. */

const struct decoupled_kind DEVICE = { S("device"), "urn:ietf:params:oauth:grant-type:device_code", "device_code", NULL };

/* ---- the code that a person types: section 6.1, "the 20 characters BCDFGHJKLMNPQRSTVWXZ", no vowels and no digits ---- */

enum { LETTERS = 20, USER_CODE = 8, TYPED_MOST = 64, WINDOW = 600 };
static const char ALPHABET[] = "BCDFGHJKLMNPQRSTVWXZ";

static struct str user_code_new(struct arena *a)
{
	char code[USER_CODE];
	for (size_t n = 0; n < USER_CODE; ) {
		unsigned char b;
		rand_fill(&b, 1);
		if (b < 256 / LETTERS * LETTERS)     /* each letter as likely as any other */
			code[n++] = ALPHABET[b % LETTERS];
	}
	return str_dup(a, code, USER_CODE);
}

static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

bool user_code_read(struct arena *a, struct str typed, struct str *code)
{
	char out[USER_CODE];
	size_t n = 0;
	for (size_t i = 0; i < typed.n && typed.n <= TYPED_MOST; i++) {
		char c = upper(typed.p[i]);
		if (c == '-' || c == ' ')
			continue;
		if (!memchr(ALPHABET, c, LETTERS) || n == USER_CODE)
			return false;
		out[n++] = c;
	}
	*code = str_dup(a, out, n);
	return n == USER_CODE;
}

struct str user_code_shown(struct arena *a, struct str code) { return str_fmt(a, "%.4s-%s", code.p, code.p + 4); }

/* Few enough to be tried out, so that not even a thief of the store may: keyed. */
struct str user_code_handle(const struct house *h, struct arena *a, struct str code)
{
	unsigned char mac[SHA256_SIZE];
	struct str text = str_fmt(a, "user_code:%s", code.p);
	hmac256((struct bytes){ h->secrets.find, sizeof h->secrets.find }, text.p, text.n, mac);
	return b64url(a, (struct bytes){ mac, sizeof mac });
}

/* ---- POST /device_authorization: section 3.1 ---- */

/* Each costs a row, and a public client's name is anybody's to use. */
static err check_limit(struct req *rq)
{
	int64_t n = 0;
	TRY(eph_count(rq->house->eph, rq->a, "device-begun", peer_net(rq), 1, WINDOW, &n));
	if (n > rq->house->conf->attempts_per_address)
		return fault(rq->a, &TOO_MANY_REQUESTS, "more device codes were asked for from one address than are allowed");
	return OK;
}

static err keep(struct req *rq, const struct client *c, struct str scope, struct str device_code, struct str *user_code)
{
	enum { TRIES = 3 };
	err e = OK;
	struct audit ev = audit_of(rq, "device.asked");
	ev.client_id = c->id;
	for (int n = 0; n < TRIES && (n == 0 || e.kind == &CONFLICT); n++) {
		*user_code = user_code_new(rq->a);
		struct decoupled_row row = {
			.hash = hash_of(rq->a, device_code), .kind = DEVICE.name, .handle = user_code_handle(rq->house, rq->a, *user_code), .client_id = c->id,
			.scope = scope, .acr_values = c->default_acr_values, .sealed = S(""), .created_at = rq->now,
			.expires_at = rq->now + rq->house->conf->device_lives,
		};
		e = store_decoupled_put(rq->house->store, rq->a, &row, &ev);
	}
	return e.kind == &CONFLICT ? fault(rq->a, &UNAVAILABLE, "no user code is free: %s", e.why) : e;
}

/* section 3.2 */
static err answer(struct req *rq, struct res *rs, struct str device_code, struct str user_code)
{
	struct str json, uri = str_fmt(rq->a, "%s/device", rq->house->issuer.p), shown = user_code_shown(rq->a, user_code);
	struct jw w = jw_new(rq->a, 4096);
	jw_object(&w, NULL);
	jw_str(&w, "device_code", device_code);
	jw_str(&w, "user_code", shown);
	jw_str(&w, "verification_uri", uri);
	jw_str(&w, "verification_uri_complete", str_fmt(rq->a, "%s?user_code=%s", uri.p, shown.p));
	jw_int(&w, "expires_in", rq->house->conf->device_lives);
	jw_int(&w, "interval", POLL_INTERVAL);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	return OK;
}

static err device_authorization(struct req *rq, struct res *rs, const struct client **c)
{
	struct str scope, user_code, device_code = rand_token(rq->a);
	TRY(client_authenticate(rq, c));
	TRY(decoupled_allowed(rq, *c, &DEVICE));
	TRY(check_limit(rq));
	TRY(scope_grantable(rq->a, *c, form(rq, "scope"), &scope));
	TRY(keep(rq, *c, scope, device_code, &user_code));
	return answer(rq, rs, device_code, user_code);
}

err ep_device_authorization(struct req *rq, struct res *rs)
{
	const struct client *c = NULL;
	err e = device_authorization(rq, rs, &c);
	return refusal_audited(rq, "device.refused", c, e);
}

/* grant_type=urn:ietf:params:oauth:grant-type:device_code: section 3.4 */
err grant_device(struct req *rq, struct res *rs, const struct client *c) { return decoupled_tokens(rq, rs, c, &DEVICE); }
