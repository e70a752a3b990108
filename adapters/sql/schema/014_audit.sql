CREATE TABLE audit (
	id TEXT PRIMARY KEY,
	at_ms BIGINT NOT NULL,
	event TEXT NOT NULL,
	outcome TEXT NOT NULL,
	client_id TEXT NOT NULL,
	person_id TEXT NOT NULL,
	sid TEXT NOT NULL,
	request_id TEXT NOT NULL,
	peer TEXT NOT NULL,
	why TEXT NOT NULL,
	detail TEXT NOT NULL
);
