CREATE TABLE trust (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	purposes TEXT NOT NULL,
	settings TEXT NOT NULL,
	der TEXT NOT NULL,
	added_at BIGINT NOT NULL,
	disabled_at BIGINT NOT NULL,
	change TEXT NOT NULL
);
