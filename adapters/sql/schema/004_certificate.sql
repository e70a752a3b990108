CREATE TABLE certificate (
	id TEXT PRIMARY KEY,
	person_id TEXT NOT NULL,
	issuer_id TEXT NOT NULL,
	serial TEXT NOT NULL,
	subject TEXT NOT NULL,
	spki_sha256 TEXT NOT NULL,
	number_mac TEXT NOT NULL,
	method TEXT NOT NULL,
	der TEXT NOT NULL,
	not_before BIGINT NOT NULL,
	not_after BIGINT NOT NULL,
	first_seen BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	revoked_why TEXT NOT NULL,
	change TEXT NOT NULL,
	UNIQUE (issuer_id, serial)
);
CREATE INDEX certificate_person ON certificate (person_id, method, last_seen);
