CREATE TABLE code (
	hash TEXT PRIMARY KEY,
	grant_id TEXT NOT NULL,
	redirect_uri TEXT NOT NULL,
	challenge TEXT NOT NULL,
	confirm TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	redeemed_at BIGINT NOT NULL,
	redeemed_by TEXT NOT NULL
);
CREATE INDEX code_expires ON code (expires_at);
