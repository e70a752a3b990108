-- Whose a number is, as one issuer has said it. Never by a name.
CREATE TABLE binding (
	issuer_id TEXT NOT NULL,
	number_mac TEXT NOT NULL,
	person_id TEXT NOT NULL,
	PRIMARY KEY (issuer_id, number_mac)
);
