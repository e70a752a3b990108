-- "grant" is a word of SQL.
CREATE TABLE grants (
	id TEXT PRIMARY KEY,
	client_id TEXT NOT NULL,
	person_id TEXT NOT NULL,
	sid TEXT NOT NULL,
	sub TEXT NOT NULL,
	scope TEXT NOT NULL,
	acr TEXT NOT NULL,
	amr TEXT NOT NULL,
	nonce TEXT NOT NULL,
	claims TEXT NOT NULL,
	auth_time BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	offline BIGINT NOT NULL,
	auth_time_asked BIGINT NOT NULL
);
CREATE INDEX grants_person ON grants (person_id, client_id);
CREATE INDEX grants_session ON grants (sid, client_id);
