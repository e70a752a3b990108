#pragma once
#include "conf.h"
#include "mobile.h"

/* Everything that a configuration file may say. Three lines are enough: [idp], issuer, state. */
struct settings {
	/* [idp] */
	struct str issuer, listen, state, store, eph, name, cert_host;
	struct strs proxied;                 /* further listeners, that only a proxy of ours reaches: unix:PATH, or loopback */
	struct strs certified;               /* the same, of a proxy that asks for client certificates and says which one came */
	int64_t workers, connections, deadline;
	/* [secrets] */
	struct str master_key_file;
	bool master_key_ours;                /* unsaid: kept in the state folder, made when missing */
	/* [tokens] */
	int64_t code_lives, access_lives, id_lives, refresh_lives, refresh_grace, introspection_lives, key_rotation, key_overlap;
	struct str hsm_module, hsm_token, hsm_pin_file;
	int64_t request_lives;               /* pushed ones, RFC 9126 */
	struct str userinfo_acr;             /* RFC 9470: how surely the person must have signed in for /userinfo, or "" */
	int64_t userinfo_max_age;            /* and how recently; 0: whenever */
	bool dpop_nonce;                     /* every DPoP proof must carry a nonce of ours; else where the client or its profile says so */
	int64_t device_lives, ciba_lives;
	/* [sessions] */
	int64_t session_lives, interaction_lives;
	/* [logout] */
	int64_t logout_timeout, logout_gives_up;   /* of one call to an application; after how long it is not called again */
	/* [login] */
	struct strs methods;                 /* "sim" "token" "tls" */
	int64_t sim_timeout, sim_per_person, sim_per_number, sim_per_client, sim_per_address, attempts_per_address, device_tries, device_tries_per_address;
	struct str token_helper_url;         /* http://127.0.0.1:28990 */
	/* [certificates] */
	int64_t status_timeout, status_age, crl_age;
	bool crl_fallback;
	/* [outgoing] */
	struct str outgoing_networks;        /* words: where addresses that applications name may lie, beside public ones */
	struct str outgoing_ca;              /* trusted instead of the system's authorities when applications' servers are asked; "" */
	/* [registration] */
	bool registration_open;              /* also without an initial access token */
	struct str registration_scope;       /* what an application may have that comes without one */
	int64_t registrations_per_address, registrations;
	/* [policy] */
	struct str policy_file;              /* further [exchange NAME] and [issuer NAME], in a file of their own */
	/* many */
	struct conf_list detail_types;       /* of struct detail_type: policies/details.h */
	struct conf_list operators, profiles;  /* of struct operator_conf, struct profile_conf: port/mobile.h */
	struct conf_list exchanges;            /* of struct exchange_rule: policies/exchange.h */
	struct conf_list issuers;              /* of struct issuer_conf */
};

/* [issuer NAME]: somebody else whose tokens may be exchanged (RFC 8693), where a rule says issuer:NAME. */
struct issuer_conf {
	struct str name, iss;
	struct str jwks_file, jwks_uri;      /* one of them; jwks: what the file says */
	struct str jwks;
	struct strs algs, audience;          /* what its tokens are signed with, and for whom they must be */
	struct str subject, number_claim;    /* "pairwise": somebody by the issuer's own name; "number": the person that the claim names */
	struct str level;                    /* the most that its word is worth */
};
extern const struct section SETTINGS[];
/* Loads, fills what depends on other settings, and checks what one setting alone cannot show. */
err settings_load(struct arena *a, const char *path, struct settings *out);
