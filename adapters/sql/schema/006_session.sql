CREATE TABLE session (
	id_hash TEXT PRIMARY KEY,
	sid TEXT NOT NULL UNIQUE,
	person_id TEXT NOT NULL,
	acr TEXT NOT NULL,
	amr TEXT NOT NULL,
	method TEXT NOT NULL,
	cert_id TEXT NOT NULL,
	auth_time BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL
);
CREATE INDEX session_expires ON session (expires_at);
