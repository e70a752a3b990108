CREATE TABLE consent (
	person_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	scopes TEXT NOT NULL,
	given_at BIGINT NOT NULL,
	PRIMARY KEY (person_id, client_id)
);
