CREATE TABLE refresh (
	hash TEXT PRIMARY KEY,
	grant_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	confirm TEXT NOT NULL,
	parent TEXT NOT NULL,
	generation BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	used_by TEXT NOT NULL
);
CREATE INDEX refresh_expires ON refresh (expires_at);
CREATE INDEX refresh_grant ON refresh (grant_id);
