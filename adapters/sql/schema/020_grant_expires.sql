-- Of a grant that nothing hangs on: one that began with a token of another issuer. 0: it goes with its code, refresh token or session.
ALTER TABLE grants ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX grants_expires ON grants (expires_at) WHERE expires_at > 0;
