-- CIBA: a client names somebody by the subject that it knows them by.
CREATE INDEX grants_sub ON grants (sub);
