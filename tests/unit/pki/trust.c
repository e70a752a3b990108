#include "t.h"
#include "mint.h"
#include "trust.h"
#include <pthread.h>

#define NOW 1790000000
#define PERSON .uid = { "CCCD:022090000017" }

struct scene { struct arena *a; struct minted *root, *ca; struct anchor anchor[2]; struct trust *t; };

static struct scene scene(void)
{
	struct scene s = { .a = arena_new() };
	s.root = mint_root(s.a, NULL);
	s.ca = mint_ca(s.a, s.root, NULL);
	fine(cert_read(s.a, s.root->der, &s.anchor[0].cert));
	fine(cert_read(s.a, s.ca->der, &s.anchor[1].cert));
	for (size_t i = 0; i < 2; i++) {
		s.anchor[i].name = str_of(i ? "issuing" : "root");
		s.anchor[i].purposes = S("token");
		s.anchor[i].intermediate = i;
		s.anchor[i].level = S("high");
	}
	return s;
}

static void believe(struct scene *s, size_t n) { trust_drop(s->t); fine(trust_new(s->a, s->anchor, n, &s->t)); }
static void end(struct scene *s) { trust_drop(s->t); arena_free(s->a); }

static err path_with(struct scene *s, const struct minted *leaf, const struct minted **extra, size_t n, const char *purpose, epoch now, const struct anchor **an)
{
	struct cert c, issuer;
	struct bytes der[16];
	for (size_t i = 0; i < n; i++)
		der[i] = extra[i]->der;
	TRY(cert_read(s->a, leaf->der, &c));
	err e = trust_path(s->t, s->a, &c, der, n, str_of(purpose), now, &issuer, an);
	if (e.kind)
		assert_true(*an == NULL && issuer.der.n == 0);
	else
		assert_str(issuer.subject, c.issuer.p);
	return e;
}

static err path(struct scene *s, const struct minted *leaf)
{
	const struct anchor *an;
	return path_with(s, leaf, (const struct minted *[]){ s->ca }, 1, "token", NOW, &an);
}

TEST(a_leaf_is_believed_through_an_authority_that_came_along)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 1);
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	fine(path_with(&s, leaf, (const struct minted *[]){ s.ca }, 1, "token", NOW, &an));
	assert_str(an->name, "root");
	fails(path_with(&s, leaf, NULL, 0, "token", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(a_pinned_intermediate_is_believed_because_it_is_listed)
{
	struct scene s = scene();
	const struct anchor *an;
	s.anchor[0] = s.anchor[1];
	believe(&s, 1);
	fine(path_with(&s, mint_leaf(s.a, s.ca, NULL), NULL, 0, "token", NOW, &an));
	assert_str(an->name, "issuing");
	fails(path_with(&s, mint_leaf(s.a, s.root, NULL), NULL, 0, "token", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(the_listed_certificate_nearest_to_the_leaf_decides)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 2);
	fine(path_with(&s, mint_leaf(s.a, s.ca, NULL), (const struct minted *[]){ s.ca, s.root }, 2, "token", NOW, &an));
	assert_str(an->name, "issuing");
	end(&s);
}

TEST(an_anchor_is_believed_for_its_purposes_only)
{
	struct scene s = scene();
	const struct anchor *an;
	s.anchor[1].purposes = S("sim");
	believe(&s, 2);
	struct minted *leaf = mint_leaf(s.a, s.ca, NULL);
	fine(path_with(&s, leaf, NULL, 0, "sim", NOW, &an));
	assert_str(an->name, "issuing");
	fails(path_with(&s, leaf, NULL, 0, "token", NOW, &an), CERT_UNTRUSTED);
	fine(path_with(&s, leaf, (const struct minted *[]){ s.ca }, 1, "token", NOW, &an));
	assert_str(an->name, "root");
	fails(path_with(&s, leaf, NULL, 0, "tls", NOW, &an), CERT_UNTRUSTED);
	fails(path_with(&s, leaf, NULL, 0, "", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(strangers_are_not_believed)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 1);
	struct minted *twin_root = mint_root(s.a, NULL), *twin = mint_ca(s.a, twin_root, NULL);      /* the same names, other keys */
	fails(path_with(&s, mint_leaf(s.a, twin, NULL), (const struct minted *[]){ twin, twin_root, s.ca }, 3, "token", NOW, &an), CERT_UNTRUSTED);
	fails(path(&s, mint_root(s.a, &(struct mint_wish){ .basic = "CA:FALSE", .ku = "critical,digitalSignature" })), CERT_UNTRUSTED);
	struct minted *leaf = mint_leaf(s.a, s.ca, NULL);
	fails(path_with(&s, mint_leaf(s.a, leaf, NULL), (const struct minted *[]){ leaf, s.ca }, 2, "token", NOW, &an), CERT_UNSUITABLE);   /* a person is no authority */
	believe(&s, 0);
	fails(path(&s, leaf), CERT_UNTRUSTED);
	end(&s);
}

TEST(a_changed_byte_anywhere_is_not_believed)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 1);
	struct minted *good = mint_leaf(s.a, s.ca, NULL), bad = *good;
	for (size_t i = 4; i < good->der.n; i += 7) {
		unsigned char *p = (unsigned char *)(uintptr_t)bytes_copy(s.a, good->der.p, good->der.n).p;
		p[i] ^= 1;
		bad.der = (struct bytes){ p, good->der.n };
		err e = path_with(&s, &bad, (const struct minted *[]){ s.ca }, 1, "token", NOW, &an);
		assert_non_null(e.kind);
	}
	end(&s);
}

TEST(at_most_eight_certificates_may_come_along)
{
	struct scene s = scene();
	const struct anchor *an;
	const struct minted *nine[9] = { s.ca, s.ca, s.ca, s.ca, s.ca, s.ca, s.ca, s.ca, s.ca };
	believe(&s, 1);
	struct minted *leaf = mint_leaf(s.a, s.ca, NULL);
	fine(path_with(&s, leaf, nine, 8, "token", NOW, &an));
	fails(path_with(&s, leaf, nine, 9, "token", NOW, &an), CERT_UNSUITABLE);
	end(&s);
}

TEST(the_anchor_stands_at_depth_four_at_most)
{
	struct scene s = scene();
	const struct anchor *an;
	const struct minted *ca[4] = { s.ca };
	believe(&s, 1);
	static const char *const NAMES[] = { "", "Two", "Three", "Four" };
	for (size_t i = 1; i < 4; i++)
		ca[i] = mint_ca(s.a, ca[i - 1], &(struct mint_wish){ .cn = NAMES[i] });
	fine(path_with(&s, mint_leaf(s.a, ca[2], NULL), ca, 3, "token", NOW, &an));
	fails(path_with(&s, mint_leaf(s.a, ca[3], NULL), ca, 4, "token", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(time_is_handed_in)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 1);
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ .not_before = NOW, .not_after = NOW + 100 });
	const struct minted *extra[] = { s.ca };
	fine(path_with(&s, leaf, extra, 1, "token", NOW, &an));
	fine(path_with(&s, leaf, extra, 1, "token", NOW + 99, &an));
	fails(path_with(&s, leaf, extra, 1, "token", NOW - 1, &an), CERT_EXPIRED);
	fails(path_with(&s, leaf, extra, 1, "token", NOW + 101, &an), CERT_EXPIRED);
	extra[0] = mint_ca(s.a, s.root, &(struct mint_wish){ .not_after = NOW - 1 });
	fails(path_with(&s, mint_leaf(s.a, extra[0], NULL), extra, 1, "token", NOW, &an), CERT_EXPIRED);
	end(&s);
}

TEST(only_a_certificate_for_signing_in_may_sign_in)
{
	static const struct { const char *why; struct mint_wish w; } BAD[] = {
		{ "an authority", { .basic = "critical,CA:TRUE" } },
		{ "an authority in all but name", { .ku = "critical,digitalSignature,keyCertSign" } },
		{ "no key usage", { .ku = "" } },
		{ "for signing documents only", { .ku = "critical,nonRepudiation" } },
		{ "for encryption only", { .ku = "critical,keyEncipherment" } },
		{ "for answering OCSP", { .eku = "clientAuth,OCSPSigning" } },
		{ "for time stamps", { .eku = "critical,timeStamping" } },
		{ "RSA 1024", { .key = "RSA:1024" } },
		{ "P-192", { .key = "P-192" } },
		{ "P-224", { .key = "P-224" } },
		{ "secp256k1", { .key = "secp256k1" } },
		{ "Ed25519", { .key = "ED25519" } },
		{ "RSA 5120", { .key = "RSA:5120" } },
		{ "SHA-1", { .digest = "SHA1" } },
		{ "SHA-224", { .digest = "SHA224" } },
		{ "version 1", { .v1 = true } },
		{ "serial number zero", { .serial_hex = "00" } },
		{ "a critical extension that nobody knows", { .more = "1.2.3.4.5=critical,DER:0500" } },
		{ "no authority key identifier", { .no_ids = true } },
		{ "an explicit policy that is not there", { .more = "policyConstraints=critical,requireExplicitPolicy:0" } },
	};
	struct scene s = scene();
	believe(&s, 1);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		err e = path(&s, mint_leaf(s.a, s.ca, &BAD[i].w));
		if (e.kind != &CERT_UNSUITABLE)
			fail_msg("%s: %s", BAD[i].why, e.kind ? e.kind->code : "success");
	}
	static const struct mint_wish GOOD[] = { { .key = "RSA:2048" }, { .key = "RSA:4096" }, { .key = "P-384" }, { .key = "P-521" }, { .eku = "" },
		{ .digest = "SHA384" }, { .eku = "1.3.6.1.4.1.311.10.3.12,1.2.840.113583.1.1.5" }, { .basic = "" },
		{ .ku = "critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment" } };
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		fine(path(&s, mint_leaf(s.a, s.ca, &GOOD[i])));
	end(&s);
}

TEST(uses_and_policies_are_what_the_operator_listed)
{
	struct scene s = scene();
	struct str ekus[] = { S("1.3.6.1.5.5.7.3.2") }, policies[] = { S("2.16.704.1.1"), S("1.2.3") };
	s.anchor[0].ekus = (struct strs){ ekus, 1 };
	s.anchor[0].policies = (struct strs){ policies, 2 };
	believe(&s, 1);
	fine(path(&s, mint_leaf(s.a, s.ca, &(struct mint_wish){ .policies = "1.2.3" })));
	fine(path(&s, mint_leaf(s.a, s.ca, &(struct mint_wish){ .policies = "1.2.9,2.16.704.1.1", .eku = "" })));
	fails(path(&s, mint_leaf(s.a, s.ca, &(struct mint_wish){ .policies = "1.2.3.4" })), CERT_UNSUITABLE);
	fails(path(&s, mint_leaf(s.a, s.ca, NULL)), CERT_UNSUITABLE);
	fails(path(&s, mint_leaf(s.a, s.ca, &(struct mint_wish){ .policies = "1.2.3", .eku = "emailProtection" })), CERT_UNSUITABLE);
	fails(path(&s, mint_leaf(s.a, s.ca, &(struct mint_wish){ .policies = "1.2.3", .eku = "anyExtendedKeyUsage" })), CERT_UNSUITABLE);
	end(&s);
}

TEST(an_authority_in_between_must_be_one_and_strong)
{
	static const struct { const char *why; struct mint_wish w; } BAD[] = {
		{ "not an authority", { .basic = "CA:FALSE" } }, { "no basic constraints", { .basic = "" } },
		{ "may not certify", { .ku = "critical,digitalSignature,cRLSign" } }, { "SHA-1", { .digest = "SHA1" } },
		{ "SHA-224", { .digest = "SHA224" } }, { "RSA 1024", { .key = "RSA:1024" } }, { "for servers only", { .eku = "serverAuth" } },
		{ "unknown critical", { .more = "1.2.3.4.5=critical,DER:0500" } } };
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 1);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct minted *ca = mint_ca(s.a, s.root, &BAD[i].w);
		err e = path_with(&s, mint_leaf(s.a, ca, NULL), (const struct minted *[]){ ca }, 1, "token", NOW, &an);
		if (e.kind != &CERT_UNSUITABLE)
			fail_msg("%s: %s (%s)", BAD[i].why, e.kind ? e.kind->code : "success", e.why ? e.why : "");
	}
	struct minted *ca = mint_ca(s.a, s.root, &(struct mint_wish){ .basic = "critical,CA:TRUE,pathlen:0", .nc = "critical,permitted;email:example.vn" });
	fine(path_with(&s, mint_leaf(s.a, ca, &(struct mint_wish){ .san = "email:an@example.vn" }), (const struct minted *[]){ ca }, 1, "token", NOW, &an));
	fails(path_with(&s, mint_leaf(s.a, ca, &(struct mint_wish){ .san = "email:an@example.com" }), (const struct minted *[]){ ca }, 1, "token", NOW, &an), CERT_UNSUITABLE);
	struct minted *below = mint_ca(s.a, ca, &(struct mint_wish){ .cn = "Too deep" });
	fails(path_with(&s, mint_leaf(s.a, below, NULL), (const struct minted *[]){ ca, below }, 2, "token", NOW, &an), CERT_UNSUITABLE);
	end(&s);
}

TEST(weak_or_wrong_anchors_are_refused_when_listed)
{
	static const struct mint_wish BAD[] = { { .basic = "CA:FALSE" }, { .ku = "critical,cRLSign" }, { .key = "RSA:1024" }, { .digest = "SHA1" } };
	struct scene s = scene();
	struct trust *t;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		fine(cert_read(s.a, mint_root(s.a, &BAD[i])->der, &s.anchor[0].cert));
		fails(trust_new(s.a, s.anchor, 1, &t), CERT_UNSUITABLE);
		assert_null(t);
	}
	s.anchor[0] = s.anchor[1];
	s.anchor[0].intermediate = false;
	fails(trust_new(s.a, s.anchor, 1, &t), CERT_UNSUITABLE);
	end(&s);
}

TEST(a_trust_outlives_the_arena_it_was_made_in)
{
	struct scene s = scene();
	const struct anchor *an;
	struct arena *short_lived = arena_new();
	struct anchor row = s.anchor[0];
	fine(cert_read(short_lived, s.root->der, &row.cert));
	fine(trust_new(short_lived, &row, 1, &s.t));
	arena_free(short_lived);
	struct trust *other = trust_hold(s.t);
	trust_drop(s.t);
	fine(path_with(&s, mint_leaf(s.a, s.ca, NULL), (const struct minted *[]){ s.ca }, 1, "token", NOW, &an));
	assert_str(an->level, "high");
	s.t = other;
	end(&s);
}

/* ---- what a trust remembers ---- */

static bool remembers(struct scene *s, const struct minted *leaf)
{
	struct cert one, two;
	fine(trust_cert(s->t, s->a, leaf->der, &one));
	fine(trust_cert(s->t, s->a, leaf->der, &two));
	assert_str(one.id, two.id.p);
	return one.handle == two.handle;     /* parsed once */
}

static void is_good(struct scene *s, const struct minted *leaf) { const struct anchor *an; fine(path_with(s, leaf, NULL, 0, "token", NOW, &an)); }

TEST(a_certificate_whose_path_was_good_is_parsed_once)
{
	struct scene s = scene();
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	believe(&s, 2);
	assert_false(remembers(&s, leaf));
	is_good(&s, leaf);
	assert_true(remembers(&s, leaf));
	is_good(&s, leaf);
	struct cert known, read;
	struct subject a, b;
	fine(trust_cert(s.t, s.a, leaf->der, &known));
	fine(cert_read(s.a, leaf->der, &read));
	fine(subject_read(s.a, &known, &a));
	fine(subject_read(s.a, &read, &b));
	assert_str(a.number, b.number.p);
	assert_str(known.spki_sha256, read.spki_sha256.p);
	assert_int_equal(known.ku, read.ku);
	end(&s);
}

TEST(a_known_certificate_outlives_what_forgets_it)
{
	struct scene s = scene();
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	struct arena *mine = arena_new();
	struct subject who;
	struct cert c;
	believe(&s, 2);
	is_good(&s, leaf);
	fine(trust_cert(s.t, mine, leaf->der, &c));
	believe(&s, 2);
	fine(subject_read(mine, &c, &who));
	assert_str(who.number, "PNOVN-022090000017");
	arena_free(mine);
	end(&s);
}

TEST(another_trust_remembers_nobody)
{
	struct scene s = scene();
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	const struct anchor *an;
	believe(&s, 2);
	is_good(&s, leaf);
	believe(&s, 1);                      /* without the authority that issued it */
	assert_false(remembers(&s, leaf));
	fails(path_with(&s, leaf, NULL, 0, "token", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(what_was_good_for_one_purpose_is_nothing_for_another)
{
	struct scene s = scene();
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	const struct anchor *an;
	s.anchor[1].purposes = S("token");
	s.anchor[0].purposes = S("sim");
	believe(&s, 2);
	is_good(&s, leaf);
	fails(path_with(&s, leaf, NULL, 0, "sim", NOW, &an), CERT_UNTRUSTED);
	fails(path_with(&s, leaf, NULL, 0, "toke", NOW, &an), CERT_UNTRUSTED);
	fails(path_with(&s, leaf, NULL, 0, "", NOW, &an), CERT_UNTRUSTED);
	is_good(&s, leaf);
	end(&s);
}

TEST(a_refusal_is_never_remembered_as_good)
{
	struct scene s = scene();
	const struct anchor *an;
	believe(&s, 2);
	struct minted *bad[] = { mint_leaf(s.a, s.ca, &(struct mint_wish){ .ku = "critical,keyEncipherment" }), mint_leaf(s.a, mint_ca(s.a, mint_root(s.a, NULL), NULL), NULL) };
	for (size_t i = 0; i < 2; i++)
		for (int again = 0; again < 3; again++) {
			assert_non_null(path_with(&s, bad[i], NULL, 0, "token", NOW, &an).kind);
			assert_false(remembers(&s, bad[i]));
		}
	end(&s);
}

/* The same second decides with and without the memory. */
static void same_answer(struct scene *s, const struct minted *leaf, epoch now)
{
	const struct anchor *an;
	struct trust *remembering = s->t;
	is_good(s, leaf);
	const struct err_kind *known = path_with(s, leaf, NULL, 0, "token", now, &an).kind;
	s->t = NULL;
	believe(s, 2);
	const struct err_kind *afresh = path_with(s, leaf, NULL, 0, "token", now, &an).kind;
	if (known != afresh)
		fail_msg("at NOW%+lld: %s, afresh %s", (long long)(now - NOW), known ? known->code : "good", afresh ? afresh->code : "good");
	trust_drop(s->t);
	s->t = remembering;
}

TEST(a_known_path_is_good_no_longer_than_the_first_of_its_certificates_to_end)
{
	struct scene s = scene();
	const struct anchor *an;
	struct minted *ca = mint_ca(s.a, s.root, &(struct mint_wish){ .not_before = NOW - 50, .not_after = NOW + 100 });
	fine(cert_read(s.a, ca->der, &s.anchor[1].cert));
	believe(&s, 2);
	struct minted *longer = mint_leaf(s.a, ca, &(struct mint_wish){ .not_before = NOW - 1000, .not_after = NOW + 1000 });
	struct minted *shorter = mint_leaf(s.a, ca, &(struct mint_wish){ .not_before = NOW - 20, .not_after = NOW + 20 });
	static const int AT[] = { -1001, -1000, -51, -50, -49, -21, -20, -19, 0, 19, 20, 21, 99, 100, 101, 999, 1000, 1001 };
	for (size_t i = 0; i < sizeof AT / sizeof *AT; i++) {
		same_answer(&s, longer, NOW + AT[i]);
		same_answer(&s, shorter, NOW + AT[i]);
	}
	is_good(&s, longer);
	fails(path_with(&s, longer, NULL, 0, "token", NOW + 101, &an), CERT_EXPIRED);
	fails(path_with(&s, shorter, NULL, 0, "token", NOW + 21, &an), CERT_EXPIRED);
	end(&s);
}

TEST(a_path_through_what_came_along_is_built_each_time)
{
	struct scene s = scene();
	const struct anchor *an;
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	believe(&s, 1);
	fine(path(&s, leaf));
	assert_false(remembers(&s, leaf));
	fails(path_with(&s, leaf, NULL, 0, "token", NOW, &an), CERT_UNTRUSTED);
	end(&s);
}

TEST(one_byte_changed_in_a_known_certificate_makes_it_unknown)
{
	struct scene s = scene();
	struct minted *leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ PERSON });
	believe(&s, 2);
	is_good(&s, leaf);
	for (size_t i = 0; i < leaf->der.n; i += 7) {
		struct cert c, issuer;
		const struct anchor *an;
		unsigned char *der = arena_alloc(s.a, leaf->der.n);
		memcpy(der, leaf->der.p, leaf->der.n);
		der[i] ^= 1;
		if (!trust_cert(s.t, s.a, (struct bytes){ der, leaf->der.n }, &c).kind)
			assert_non_null(trust_path(s.t, s.a, &c, NULL, 0, S("token"), NOW, &issuer, &an).kind);
	}
	end(&s);
}

struct reader { struct scene *s; struct minted **leaves; size_t n, from; pthread_t thread; bool wrong; };

static void *read_all(void *p)
{
	struct reader *r = p;
	for (size_t i = 0; i < r->n / 3; i++) {
		struct arena *a = arena_new();
		struct cert c, issuer;
		const struct anchor *an;
		const struct minted *m = r->leaves[(i * 7 + r->from) % r->n];
		if (trust_cert(r->s->t, a, m->der, &c).kind || trust_path(r->s->t, a, &c, NULL, 0, S("token"), NOW, &issuer, &an).kind ||
		    c.der.n != m->der.n || memcmp(c.der.p, m->der.p, c.der.n) != 0)
			r->wrong = true;
		arena_free(a);
	}
	return NULL;
}

/* More than it can remember, by eight at once: all are good, and some are forgotten. */
TEST(what_a_trust_remembers_is_bounded_and_shared)
{
	enum { MANY = 1200, THREADS = 8 };
	struct scene s = scene();
	struct minted **leaves = make_n(s.a, struct minted *, MANY), *first = mint_leaf(s.a, s.ca, NULL);
	struct reader r[THREADS];
	size_t kept = 0;
	believe(&s, 2);
	for (size_t i = 0; i < MANY; i++)
		leaves[i] = mint_leaf(s.a, s.ca, &(struct mint_wish){ .same_key = first });
	for (size_t i = 0; i < THREADS; i++) {
		r[i] = (struct reader){ .s = &s, .leaves = leaves, .n = MANY, .from = i * 150 };
		assert_int_equal(pthread_create(&r[i].thread, NULL, read_all, &r[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		assert_false(r[i].wrong);
	}
	for (size_t i = 0; i < MANY; i++)
		kept += remembers(&s, leaves[i]);
	assert_in_range(kept, 500, 1024);
	end(&s);
}
