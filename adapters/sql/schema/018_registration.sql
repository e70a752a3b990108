-- used_by: the audit event of its last use, or of its end, so that a statement can tell its own effect from another's.
CREATE TABLE invite (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL,
	name TEXT NOT NULL,
	profile TEXT NOT NULL,
	scope TEXT NOT NULL,
	uses_left BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	used_by TEXT NOT NULL
);
CREATE UNIQUE INDEX invite_hash ON invite (hash);
CREATE INDEX invite_expires ON invite (expires_at);
CREATE TABLE registration (
	client_id TEXT PRIMARY KEY,
	token_hash TEXT NOT NULL,
	invite_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	created_at BIGINT NOT NULL
);
