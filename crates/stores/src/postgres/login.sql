-- The fence at rest: a server that was restarted lets the application's roles in only after it was
-- opened again. NOLOGIN alone does not say so, for a server that died while open has none.
--
-- A login trigger that fails refuses the login (PostgreSQL manual, "Event Trigger Functionality"),
-- so superusers leave before anything that could fail. The function runs as its owner, because the
-- roles have no right to read the table.

CREATE OR REPLACE FUNCTION mainstay.refuse_login() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refused boolean;
BEGIN
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user) THEN
        RETURN;
    END IF;
    SELECT session_user = ANY (site.roles)
           AND NOT (site.open
                    AND site.opened_postmaster IS NOT DISTINCT FROM pg_postmaster_start_time())
      INTO refused
      FROM mainstay.site;
    IF refused THEN
        RAISE EXCEPTION 'this site is fenced'
            USING ERRCODE = 'cannot_connect_now',
                  HINT = 'Connect through the gate, which knows the active site.';
    END IF;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'mainstay_refuse_login') THEN
        CREATE EVENT TRIGGER mainstay_refuse_login ON login
            EXECUTE FUNCTION mainstay.refuse_login();
    END IF;
    -- Also for a role whose sessions begin with session_replication_role = replica.
    IF EXISTS (SELECT FROM pg_event_trigger
               WHERE evtname = 'mainstay_refuse_login' AND evtenabled <> 'A') THEN
        ALTER EVENT TRIGGER mainstay_refuse_login ENABLE ALWAYS;
    END IF;
END
$$;
