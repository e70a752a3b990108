#include "prepared.h"
#include <stdint.h>
#include <stdlib.h>

static struct prepared *slot(struct prepared *v, size_t cap, const char *text)
{
	size_t i = (size_t)((uintptr_t)text * 0x9e3779b97f4a7c15u >> 32) & (cap - 1);
	while (v[i].text && v[i].text != text)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static int grow(struct prepared_set *s)
{
	size_t cap = s->cap ? s->cap * 2 : 256;
	struct prepared *v = calloc(cap, sizeof *v);
	if (!v)
		return 0;
	for (size_t i = 0; i < s->cap; i++)
		if (s->v[i].text)
			*slot(v, cap, s->v[i].text) = s->v[i];
	free(s->v);
	s->v = v;
	s->cap = cap;
	return 1;
}

struct prepared *prepared_at(struct prepared_set *s, const char *text)
{
	if (s->n * 2 >= s->cap && !grow(s))
		return NULL;
	struct prepared *p = slot(s->v, s->cap, text);
	if (!p->text) {
		p->text = text;
		s->n++;
	}
	return p;
}
