-- change: the audit event that last changed the row, so that a statement can tell its own effect from another's.
CREATE TABLE client (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	metadata TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	disabled_at BIGINT NOT NULL,
	version BIGINT NOT NULL,
	change TEXT NOT NULL
);
