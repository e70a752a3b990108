#include "file.h"
#include "log.h"
#include "operator.h"
#include "dialects.h"

static err profile_of(struct arena *a, const struct operator_conf *c, const struct profile_conf *given, size_t n, const struct profile_conf **out)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(given[i].name, c->profile)) {
			*out = &given[i];
			return OK;
		}
	for (const struct profile_conf *p = DIALECTS; p->name.n; p++)
		if (str_eq(p->name, c->profile)) {
			*out = p;
			return OK;
		}
	return fault(a, &BAD_CONFIG, "operator %s: there is no profile \"%s\"", c->name.p, c->profile.p);
}

static bool is_prefix(struct str s)
{
	if (s.n < 2 || s.n > 16 || s.p[0] != '+' || s.p[1] == '0')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static err check(struct arena *a, const struct operator_conf *c, const struct profile_conf *p)
{
	if (!c->signature_url.n || !c->ap_id.n || !c->mssp_uri.n)
		return fault(a, &BAD_CONFIG, "operator %s: signature_url, ap_id and mssp_uri are needed", c->name.p);
	if (str_is(p->messaging, "asynch") && !c->status_url.n)
		return fault(a, &BAD_CONFIG, "operator %s: profile %s asks for the status, which needs a status_url", c->name.p, p->name.p);
	if (!c->prefixes.n)
		return fault(a, &BAD_CONFIG, "operator %s serves no prefix", c->name.p);
	for (size_t i = 0; i < c->prefixes.n; i++)
		if (!is_prefix(c->prefixes.v[i]))
			return fault(a, &BAD_CONFIG, "operator %s: a prefix is written like +8490, not \"%s\"", c->name.p, c->prefixes.v[i].p);
	if (c->open_limit < 1 || c->per_minute < 1 || c->break_after < 1 || c->break_for < 1)
		return fault(a, &BAD_CONFIG, "operator %s: open_limit, per_minute, break_after and break_for are at least 1", c->name.p);
	return OK;
}

err operator_init(struct arena *a, struct operator *o, const struct operator_conf *c, const struct profile_conf *profiles, size_t nprofiles)
{
	*o = (struct operator){ .conf = c, .password = S("") };
	TRY(profile_of(a, c, profiles, nprofiles, &o->profile));
	TRY(check(a, c, o->profile));
	if (c->ap_password_file.n) {
		err e = file_read_secret(a, c->ap_password_file.p, 1024, &o->password);
		if (e.kind)
			return fault(a, &BAD_CONFIG, "operator %s: %s", c->name.p, e.why);
		struct str s = o->password;
		while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
			s.n--;
		o->password = str_copy(a, s);
	}
	pthread_mutex_init(&o->lock, NULL);
	return OK;
}

struct operator *operator_for(struct operator *v, size_t n, struct str msisdn)
{
	struct operator *best = NULL;
	size_t longest = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < v[i].conf->prefixes.n; j++) {
			struct str p = v[i].conf->prefixes.v[j];
			if (p.n > longest && str_starts(msisdn, p))
				best = &v[i], longest = p.n;
		}
	return best;
}

static const char *try_enter(struct operator *o, int64_t now)
{
	if (o->closed_until > now)
		return "its circuit is open";
	if (o->open >= o->conf->open_limit)
		return "as many requests are open as it allows";
	if (now - o->minute_from >= 60000)
		o->minute_from = now, o->this_minute = 0;
	if (o->this_minute >= o->conf->per_minute)
		return "as many requests were made this minute as it allows";
	o->this_minute++;
	o->open++;
	/* this one is the probe: others wait for its answer, or for the next one's turn */
	if (o->closed_until)
		o->closed_until = now + o->conf->break_for * 1000;
	return NULL;
}

const char *operator_enter(struct operator *o, int64_t now)
{
	pthread_mutex_lock(&o->lock);
	const char *why = try_enter(o, now);
	pthread_mutex_unlock(&o->lock);
	return why;
}

void operator_leave(struct operator *o)
{
	pthread_mutex_lock(&o->lock);
	o->open--;
	pthread_mutex_unlock(&o->lock);
}

void operator_report(struct operator *o, bool good, int64_t now)
{
	pthread_mutex_lock(&o->lock);
	bool was_open = o->closed_until;
	o->faults = good ? 0 : o->faults + 1;
	if (good)
		o->closed_until = 0;
	else if (o->faults >= o->conf->break_after)
		o->closed_until = now + o->conf->break_for * 1000;
	bool open = o->closed_until;
	pthread_mutex_unlock(&o->lock);
	if (open != was_open)
		log_say(open ? LOG_ERROR : LOG_WARN, open ? "operator: circuit opened" : "operator: circuit closed", "operator", o->conf->name.p, NULL);
}
