-- ended_by: the audit event that ended it; NULL while it goes on, so that the index holds only what has ended.
ALTER TABLE session ADD COLUMN ended_by TEXT;
UPDATE session SET ended_by = '' WHERE ended_at <> 0;
CREATE INDEX session_ended ON session (ended_by) WHERE ended_by IS NOT NULL;
-- For the sweep alone: where every other question says ended_at = 0, a PostgreSQL that has no statistics yet would read all open sessions by it.
CREATE INDEX session_open ON session (expires_at) WHERE ended_by IS NULL;
CREATE INDEX session_person ON session (person_id);
-- backchannel_logout_uri of the registration, or ''.
ALTER TABLE client ADD COLUMN logout_uri TEXT NOT NULL DEFAULT '';
-- Which application is to be told that which session is over. A pending row is due at due_at; whoever takes it moves that on.
CREATE TABLE logout_delivery (
	sid TEXT NOT NULL,
	client_id TEXT NOT NULL,
	sub TEXT NOT NULL,
	state TEXT NOT NULL,
	why TEXT NOT NULL,
	tries BIGINT NOT NULL,
	queued_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	done_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	claimed_by TEXT NOT NULL,
	PRIMARY KEY (sid, client_id)
);
CREATE INDEX logout_delivery_due ON logout_delivery (due_at) WHERE state = 'pending';
CREATE INDEX logout_delivery_client ON logout_delivery (client_id, state, due_at);
CREATE INDEX logout_delivery_expires ON logout_delivery (expires_at);
