#include "t.h"
#include "door.h"

/* A good request, and its twins with one thing wrong. `in place` is tried by cutting up a text as the parser does. */

#define GOOD { S("Host"), S("id.example") }, { S("Accept"), S("*/*") }
static struct raw raw_of(const struct param *h, size_t n)
{
	return (struct raw){ .method = S("GET"), .target = S("/a?b=c%20d"), .version = S("HTTP/1.1"), .headers = h, .n = n, .origin = S("https://id.example") };
}

#define WITH(...) \
	struct param h[] = { GOOD __VA_OPT__(,) __VA_ARGS__ }; \
	struct raw raw = raw_of(h, sizeof h / sizeof *h)
#define let_in() do { struct verdict v_ = guard(&raw); if (v_.status) fail_msg("refused with %d: %s", v_.status, v_.why); } while (0)
#define refused(want) assert_int_equal(guard(&raw).status, want)

TEST(an_ordinary_request_comes_in)
{
	WITH();
	let_in();
	raw.version = S("HTTP/1.0");
	let_in();
	raw.target = S("https://id.example/a");
	let_in();
}

TEST(versions_and_methods_that_are_not_known_are_refused)
{
	WITH();
	static const struct str VERSIONS[] = { S("HTTP/1.9"), S("HTTP/2.0"), S("HTTP/1.1 "), S("http/1.1"), S("") };
	for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++) {
		raw.version = VERSIONS[i];
		refused(505);
	}
	raw.version = S("HTTP/1.1");
	static const struct str METHODS[] = { S("get"), S("TRACE"), S("CONNECT"), S("GETX"), S("") };
	for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
		raw.method = METHODS[i];
		refused(501);
	}
}

TEST(a_target_has_one_reading_or_is_refused)
{
	WITH();
	static const struct str BAD[] = {
		S(""), S("*"), S("a"), S("/a b"), S("/a\tb"), S("/a\\b"), S("/a#b"), S("/\xc3\xa1"), S("/a%00b"), S("/a?x=%00"), S("/a?x=%zz"), S("/a?x=%4"),
		S("/a?x=%"), S("/a%2fb"), S("/a%5Cb"), S("/x/../a"), S("/x/%2e%2e/a"), S("/x/.%2E"), S("/./a"), S("/.."), S("/a/."), S("http://evil/a"),
		S("https://id.example"), S("https://id.example.evil/a"), S("https://id.example@evil/a"), S("//..//a"), S("/a\x7f"),
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		raw.target = BAD[i];
		if (guard(&raw).status != 400)
			fail_msg("'%s' came in", BAD[i].p);
	}
	static const struct str FINE[] = { S("/"), S("/.well-known/openid-configuration"), S("/a..b"), S("/.../x"), S("/a?x=../y&z=%2f"), S("/%e1%bb%87") };
	for (size_t i = 0; i < sizeof FINE / sizeof *FINE; i++) {
		raw.target = FINE[i];
		let_in();
	}
}

TEST(an_absolute_target_needs_an_origin_of_ours)
{
	WITH();
	raw.origin = S("");
	raw.target = S("https://id.example/a");
	refused(400);
}

TEST(header_names_are_tokens_and_values_have_no_control_characters)
{
	static const struct param BAD[] = {
		{ S(""), S("x") }, { S("X "), S("x") }, { S("X\t"), S("x") }, { S("X(y)"), S("x") }, { S("X\x80"), S("x") },
		{ S("X"), S("a\rb") }, { S("X"), S("a\nb") }, { S("X"), S("a\0b") }, { S("X"), S("a\x7f") }, { S("X"), S("\x01") },
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		WITH(BAD[i]);
		refused(400);
	}
	WITH({ S("X-1"), S("a\tb \xc3\xa1") });
	let_in();
}

TEST(what_may_come_once_is_refused_twice)
{
	static const struct str ONCE[] = {
		S("Host"), S("content-length"), S("CONTENT-TYPE"), S("Authorization"), S("Cookie"), S("DPoP"), S("Origin"), S("Sec-Fetch-Site"),
	};
	for (size_t i = 0; i < sizeof ONCE / sizeof *ONCE; i++) {
		WITH({ ONCE[i], S("0") }, { ONCE[i], S("0") });
		refused(400);
	}
	WITH({ S("Accept"), S("0") }, { S("Via"), S("a") }, { S("Via"), S("b") });
	let_in();
}

TEST(what_we_believe_may_not_come_with_an_underscore)
{
	static const struct str BAD[] = { S("Client_Cert"), S("X_Forwarded_For"), S("x-forwarded_for"), S("AUTHORIZATION"), S("Content_Length") };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		WITH({ BAD[i], S("x") });
		assert_int_equal(guard(&raw).status, i == 3 ? 0 : 400);
	}
	WITH({ S("X_Other"), S("x") });
	let_in();
}

TEST(there_is_exactly_one_host_and_it_is_a_host)
{
	struct param none[] = { { S("Accept"), S("*/*") } }, odd[] = { { S("Host"), S("a/b") } }, at[] = { { S("Host"), S("u@h") } };
	struct raw raw = raw_of(none, 1);
	refused(400);
	raw.version = S("HTTP/1.0");
	let_in();
	raw = raw_of(odd, 1);
	refused(400);
	raw = raw_of(at, 1);
	refused(400);
}

TEST(a_body_has_one_length_in_digits)
{
	static const struct str BAD[] = { S("+3"), S("-1"), S("0x3"), S("3, 3"), S(""), S("3 "), S("1e2") };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		WITH({ S("Content-Length"), BAD[i] });
		raw.method = S("POST");
		refused(400);
	}
	WITH({ S("content-length"), S("65536") });
	raw.method = S("POST");
	let_in();
	assert_int_equal(guard_length(&raw), 65536);
	h[2].value = S("65537");
	refused(413);
	h[2].value = S("99999999999999999999999");
	refused(413);
}

TEST(chunks_are_refused_in_every_way_they_can_be_asked_for)
{
	static const struct { struct str te, cl; int status; } TRIES[] = {
		{ S("chunked"), S(""), 411 }, { S("Chunked"), S(""), 411 }, { S("xchunked"), S(""), 400 }, { S("gzip, chunked"), S(""), 400 },
		{ S("identity"), S(""), 400 }, { S(""), S(""), 400 }, { S("chunked"), S("4"), 400 },
	};
	for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
		WITH({ S("Transfer-Encoding"), TRIES[i].te }, { S("Content-Length"), TRIES[i].cl });
		raw.method = S("POST");
		raw.n -= str_empty(TRIES[i].cl);
		refused(TRIES[i].status);
	}
}

TEST(a_get_has_no_body_a_body_is_not_packed_and_only_continue_is_expected)
{
	WITH({ S("Content-Length"), S("3") });
	refused(400);
	h[2].value = S("0");
	let_in();
	h[2] = (struct param){ S("Expect"), S("200-ok") };
	refused(417);
	h[2].value = S("100-Continue");
	let_in();
	h[2] = (struct param){ S("Content-Encoding"), S("gzip") };
	refused(415);
	h[2].value = S("identity");
	let_in();
}

TEST(a_head_has_at_most_100_fields_and_16_kib)
{
	static struct param h[MAX_HEADERS + 1];
	static char big[MAX_HEADER_BYTES];
	for (size_t i = 0; i < MAX_HEADERS + 1; i++)
		h[i] = i ? (struct param){ S("X"), S("y") } : (struct param){ S("Host"), S("x") };
	struct raw raw = raw_of(h, MAX_HEADERS);
	let_in();
	raw.n++;
	refused(431);
	memset(big, 'a', sizeof big);
	h[1].value = (struct str){ big, sizeof big - 100 };
	raw.n = 2;
	let_in();
	h[1].value.n = sizeof big;
	refused(431);
}

/* ---- in place ---- */

struct placed { char text[512]; struct param h[8]; struct raw raw; };

static char *line_end(char *p)
{
	while (*p != '\r' && *p != '\n')
		p++;
	return p;
}

/* As the parser does it: line ends become zeros, the colon too; spaces before a value are stepped over. */
static void place(struct placed *p, const char *z, size_t n)
{
	*p = (struct placed){ 0 };
	memcpy(p->text, z, n);
	char *at = p->text, *sp = strchr(at, ' '), *sp2 = strchr(sp + 1, ' ');
	*sp = *sp2 = 0;
	char *end = line_end(sp2 + 1);
	p->raw = (struct raw){ .method = { at, (size_t)(sp - at) }, .target = { sp + 1, (size_t)(sp2 - sp - 1) }, .url = sp + 1,
	                       .version = { sp2 + 1, (size_t)(end - sp2 - 1) }, .headers = p->h, .in_place = true };
	for (;;) {
		bool crlf = end[0] == '\r' && end[1] == '\n';
		*end = 0;
		if (crlf)
			*++end = 0;
		char *name = end + 1;
		end = line_end(name);
		if (end == name)
			break;
		char *colon = memchr(name, ':', (size_t)(end - name)), *value = colon + 1;
		*colon = 0;
		value += strspn(value, " \t");
		p->h[p->raw.n++] = (struct param){ { name, (size_t)(colon - name) }, { value, strnlen(value, (size_t)(end - value)) } };
	}
	p->raw.head_n = (size_t)(end - p->text) + (end[0] == '\r' && end[1] == '\n' ? 2 : 1);
	memset(end, 0, p->raw.head_n - (size_t)(end - p->text));
}

static int placed_status(const char *z, size_t n)
{
	struct placed p;
	place(&p, z, n);
	return guard(&p.raw).status;
}
#define PLACED(lit) placed_status(lit, sizeof(lit) - 1)

TEST(every_line_ends_by_cr_lf)
{
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX:y\r\nZ:\r\nW: \t v\r\n\r\n"), 0);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\nHost: x\r\nX:y\r\n\r\n"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\nX:y\r\n\r\n"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\rX:y\r\n\r\n"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX:y\n\r\n"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX:y\r\n\n"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX:y\r\n\nsecond"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX:y\r\n\rsecond"), 400);
	assert_int_equal(PLACED("GET /a?b HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"), 400);
}

TEST(pieces_that_were_put_together_elsewhere_are_refused)
{
	struct placed p;
	static const char Z[] = "GET /a HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n";
	place(&p, Z, sizeof Z - 1);
	assert_int_equal(guard(&p.raw).status, 0);
	p.h[1].value = S("folded and joined");
	assert_int_equal(guard(&p.raw).status, 400);
	place(&p, Z, sizeof Z - 1);
	p.raw.url = "/a";
	assert_int_equal(guard(&p.raw).status, 400);
	place(&p, Z, sizeof Z - 1);
	p.raw.head_n--;
	assert_int_equal(guard(&p.raw).status, 400);
}

TEST(the_request_line_has_single_spaces)
{
	static const char Z[] = "GET /a  HTTP/1.1\r\nHost: x\r\n\r\n";
	struct placed p;
	place(&p, Z, sizeof Z - 1);
	p.raw.version.p++, p.raw.version.n--;        /* a parser that steps over the second space */
	assert_int_equal(guard(&p.raw).status, 400);
	p.raw.in_place = false;
	assert_int_equal(guard(&p.raw).status, 0);
}
