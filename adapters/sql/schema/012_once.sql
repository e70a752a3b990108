CREATE TABLE once (
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (kind, id)
);
CREATE INDEX once_expires ON once (expires_at);
