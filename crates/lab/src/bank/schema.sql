-- The demo bank's schema, made by the owner of the database.
CREATE TABLE accounts (
    id      bigint PRIMARY KEY,
    owner   text,
    balance numeric(18,2) NOT NULL,
    opened  timestamptz,
    notes   jsonb
);

CREATE SEQUENCE transfer_number;

CREATE TABLE transfers (
    id           uuid PRIMARY KEY,
    number       bigint NOT NULL UNIQUE DEFAULT nextval('transfer_number'),
    from_account bigint NOT NULL REFERENCES accounts,
    to_account   bigint NOT NULL REFERENCES accounts,
    amount       numeric(18,2) NOT NULL CHECK (amount > 0),
    memo         jsonb,
    signature    bytea,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Which of the bank's database servers took the order; its auditors ask for that.
    accepted_by  text NOT NULL DEFAULT current_setting('cluster_name')
);

-- A transfer is one inserted row. Both accounts are locked in the order of their ids, so that two
-- transfers between the same accounts never wait for each other in a circle. The lock must not be
-- FOR UPDATE: the foreign keys' FOR KEY SHARE locks, taken before this and in no order, would be in
-- its way (PostgreSQL manual, "Row-Level Locks").
CREATE FUNCTION move_money() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE id IN (NEW.from_account, NEW.to_account) ORDER BY id FOR NO KEY UPDATE;
    UPDATE accounts SET balance = balance - NEW.amount WHERE id = NEW.from_account;
    UPDATE accounts SET balance = balance + NEW.amount WHERE id = NEW.to_account;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION move_money() FROM PUBLIC;

CREATE TRIGGER move_money AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION move_money();

-- Whom customers pay. Their own programs keep this list, by SQL; each numbers its transactions.
CREATE TABLE payees (
    id          bigint PRIMARY KEY,
    name        text NOT NULL,
    written_by  bigint NOT NULL,
    accepted_by text NOT NULL DEFAULT current_setting('cluster_name')
);
GRANT SELECT, INSERT, UPDATE, DELETE ON payees TO bank;

-- The application may look, and insert transfers; the trigger alone changes balances.
GRANT SELECT ON accounts TO bank;
GRANT SELECT, INSERT ON transfers TO bank;
GRANT USAGE ON SEQUENCE transfer_number TO bank;
