-- Asked for on one device, decided on another: RFC 8628 (kind 'device') and CIBA (kind 'ciba').
-- handle: what the side that decides finds it by. decided_by, redeemed_by: the audit event, or attempt, that did it.
CREATE TABLE decoupled (
	hash TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	handle TEXT NOT NULL UNIQUE,
	client_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	acr_values TEXT NOT NULL,
	sealed TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	decided_at BIGINT NOT NULL,
	decided_by TEXT NOT NULL,
	refusal TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	redeemed_at BIGINT NOT NULL,
	redeemed_by TEXT NOT NULL
);
CREATE INDEX decoupled_expires ON decoupled (expires_at);
