-- What rests on a certificate ends with it, also a grant that outlives its session.
ALTER TABLE grants ADD COLUMN cert_id TEXT NOT NULL DEFAULT '';
