#pragma once
#include "err.h"
#include "str.h"
#include "hash.h"
#include "store.h"
#include "eph.h"
#include "fetch.h"
#include "mobile.h"
#include "http.h"
#include "hsm.h"
#include "keyring.h"
#include "shelf.h"
#include "trust.h"

/* What the provider's rooms share: built by main.c (and by the tests' world), read by all. */
struct settings;                         /* idp/settings.h */

struct house {
	const struct settings *conf;
	struct secrets secrets;
	struct str issuer;                   /* exact text: iss, discovery, RFC 9207 */
	struct str origin;                   /* scheme://host[:port] of the issuer */
	bool secure;                         /* the issuer is https */
	struct store *store;
	struct eph *eph;
	struct fetch *fetch;
	struct pushes *pushes;               /* idp/oauth/push.c: tokens that are sent unasked; NULL where no phone can be asked */
	struct mobile *mobile;               /* NULL when no operator is configured */
	struct errands *errands;             /* idp/base/errands.h: what callbacks leave to be done */
	struct hsm *hsm;                     /* NULL: our keys are made here and kept sealed */
	struct keys *keys;                   /* idp/oidc/keys.h: the keyring, kept fresh */
	struct anchors *anchors;             /* idp/login/anchors.h: the trust, kept fresh */
	struct clients *clients;             /* idp/oauth/client.h: parsed registrations */
	struct remotes *remotes;             /* idp/oauth/remote.h: what clients publish at addresses of their own */
	struct statuses *statuses;           /* idp/login/status_of.h: OCSP and CRL answers */
	struct shelf *shelf;                 /* pki/shelf.h: keys that came in DPoP proofs */
	struct backchannel *backchannel;     /* idp/oidc/backchannel.h: who is yet to hear that a session is over */
	struct minted *minted;               /* idp/oauth/access.h: tokens that verified already */
	epoch (*clock)(void);                /* NULL: the real one */
};
