CREATE TABLE person (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	search_key TEXT NOT NULL,
	number_mac TEXT NOT NULL UNIQUE,
	number_sealed TEXT NOT NULL,
	phone_mac TEXT NOT NULL,
	phone_sealed TEXT NOT NULL,
	claims TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	disabled_at BIGINT NOT NULL,
	version BIGINT NOT NULL,
	change TEXT NOT NULL
);
CREATE INDEX person_phone ON person (phone_mac);
CREATE INDEX person_search ON person (search_key, id);
