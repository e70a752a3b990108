CREATE TABLE signing_key (
	kid TEXT PRIMARY KEY,
	alg TEXT NOT NULL,
	public_jwk TEXT NOT NULL,
	sealed TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	active_at BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	change TEXT NOT NULL,
	UNIQUE (alg, active_at)
);
