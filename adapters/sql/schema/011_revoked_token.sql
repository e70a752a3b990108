CREATE TABLE revoked_token (
	jti TEXT PRIMARY KEY,
	expires_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL
);
CREATE INDEX revoked_token_expires ON revoked_token (expires_at);
