#pragma once
#include "card.h"
#include "err.h"
#include "str.h"

/* motid-token: signs a site's challenge with the person's token, as a Web eID authentication token (format web-eid:1.0). */
struct helper {
	struct card *card;
	struct str label;                    /* of the token; "" = the first */
	const char *ask;                     /* how the PIN is asked for: pin.h */
	struct strs origins;                 /* sites that may ask, exactly as browsers write them */
};

/* Hash(origin) || Hash(nonce), hashed again and signed. The origin is ours to name, never the page's. json: the token. */
err helper_sign(struct helper *, struct arena *a, struct str origin, struct str nonce, struct str *json);
/* Listens on 127.0.0.1 until told to stop: GET /status, POST /sign. */
err helper_serve(struct helper *, struct arena *a, unsigned short port);
