//! A schema change that the target cannot make the same stops the link with the reason, and goes
//! on when a person has mended it or has it left out.

use crate::link_world::{Servers, stopped, streaming};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::link::{self, SkipError};

const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, '1');
    CREATE TABLE other (id int PRIMARY KEY); CREATE FOREIGN DATA WRAPPER w";

struct Case {
    name: &'static str,
    at_target: &'static str,
    change: &'static str,
    words: &'static str,
    /// What a person makes at the target instead.
    by_hand: &'static str,
}

const fn case(name: &'static str, change: &'static str, words: &'static str) -> Case {
    Case { name, at_target: "", change, words, by_hand: "" }
}

const CASES: &[Case] = &[
    case("random", "ALTER TABLE t ADD u uuid DEFAULT gen_random_uuid()", "its own value"),
    case("serial", "ALTER TABLE t ADD n bigserial", "its own value of the new column n"),
    case("identity", "ALTER TABLE t ADD n int GENERATED ALWAYS AS IDENTITY", "its own value"),
    case(
        "clock",
        "ALTER TABLE t ADD u int, ADD c timestamptz DEFAULT clock_timestamp()",
        "column c",
    ),
    case("usingnow", "ALTER TABLE t ALTER v TYPE timestamptz USING now()", "anew with now"),
    case("usingrandom", "ALTER TABLE t ALTER v TYPE float USING random()", "anew with random"),
    case(
        "logged",
        "CREATE UNLOGGED TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1); \
         ALTER TABLE u SET LOGGED",
        "while it was unlogged",
    ),
    Case {
        by_hand: "CREATE TABLE x (a int)",
        ..case("execute", "PREPARE p AS SELECT 1 AS a; CREATE TABLE x AS EXECUTE p", "was prepared")
    },
    case(
        "role",
        "CREATE ROLE only_here; GRANT ALL ON DATABASE role TO only_here; SET ROLE only_here; \
         CREATE SCHEMA mine; RESET ROLE",
        "role \"only_here\" does not exist",
    ),
    case(
        "takenback",
        "BEGIN; SAVEPOINT s; CREATE TABLE a (); ROLLBACK TO s; CREATE TABLE b (); COMMIT",
        "not known which",
    ),
    case("session", "ALTER TABLE other OWNER TO SESSION_USER", "SESSION_USER"),
    case("mixed", "CREATE TEMP TABLE tmp (); DROP TABLE tmp, other", "at once"),
    Case {
        at_target: "CREATE TABLE x (a int)",
        ..case("there", "CREATE TABLE x (b int)", "already exists; it is: CREATE TABLE x (b int);")
    },
    Case {
        at_target: "CREATE SERVER s FOREIGN DATA WRAPPER w",
        ..case(
            "secret",
            "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (password 'hush')",
            "OPTIONS (password '...')",
        )
    },
];

/// The position that the sentence names, in the command that leaves the change out.
fn position(reason: &str) -> Lsn {
    let (_, rest) = reason.split_once("--leave-out ").unwrap_or_else(|| panic!("{reason}"));
    rest.trim_end_matches('`').parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_the_same_stops_the_link_until_a_person_has_it_left_out() {
    let servers = Servers::start().await;
    for case in CASES {
        let world = servers.world(case.name, SCHEMA).await;
        let link = world.streaming().await;
        world.target.run(case.at_target).await;
        let before = world.target.text("SELECT position::text FROM mainstay.link").await;
        world.source.run(case.change).await;
        let (code, reason) = stopped(&link).await;
        assert_eq!(code, "MS-PG-214", "{}: {reason}", case.name);
        assert!(reason.contains(case.words), "{}: {reason}", case.name);
        assert!(!reason.contains("hush"), "{reason}");
        let command = format!("mainstay link continue {}/db", case.name);
        assert!(reason.contains(&command), "{reason}");
        link.stop().await;

        // Nothing was skipped: it stops there again.
        let link = world.link();
        assert_eq!(stopped(&link).await.1, reason);
        link.stop().await;
        assert!(before.parse::<Lsn>().unwrap() <= position(&reason));

        world.target.run(case.by_hand).await;
        link::leave_out(&world.spec(), position(&reason), "made by hand").await.unwrap();
        let last = "CREATE TABLE last (id int PRIMARY KEY); INSERT INTO last VALUES (1)";
        world.source.run(last).await;
        let link = world.streaming().await;
        world.caught_up(&link).await;
        assert_eq!(world.target.text("SELECT count(*)::text FROM last").await, "1");
        link.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_on_as_its_reader_decides() {
    let servers = Servers::start().await;
    tokio::join!(
        a_link_goes_on_with_the_change_when_its_hindrance_is_gone(&servers),
        one_position_leaves_out_one_change(&servers),
    );
}

async fn a_link_goes_on_with_the_change_when_its_hindrance_is_gone(servers: &Servers) {
    let world = servers.world("mended", SCHEMA).await;
    let link = world.streaming().await;
    world.target.run("CREATE VIEW in_the_way AS SELECT v FROM t").await;
    world.source.run("ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (2)").await;
    let (_, reason) = stopped(&link).await;
    assert!(reason.contains("other objects depend on it"), "{reason}");
    link.stop().await;
    world.target.run("DROP VIEW in_the_way").await;
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

async fn one_position_leaves_out_one_change(servers: &Servers) {
    let world = servers.world("one", SCHEMA).await;
    let link = world.streaming().await;
    world.target.run("CREATE TABLE x (a int); CREATE TABLE y (a int)").await;
    world
        .source
        .run("CREATE TABLE x (a int); CREATE TABLE y (a int); CREATE TABLE z (a int)")
        .await;
    let (_, first) = stopped(&link).await;
    link.stop().await;
    link::leave_out(&world.spec(), position(&first), "it is there").await.unwrap();
    let link = world.link();
    let (_, second) = stopped(&link).await;
    assert!(second.contains("CREATE TABLE y"), "{second}");
    link.stop().await;
    link::leave_out(&world.spec(), position(&second), "it is there").await.unwrap();
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
    let late = link::leave_out(&world.spec(), position(&second), "again").await;
    assert!(matches!(late, Err(SkipError::Passed { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gains_rights_or_changes_the_other_way_by_it() {
    let servers = Servers::start().await;
    tokio::join!(
        a_message_that_somebody_else_wrote_is_no_schema_change(&servers),
        a_statement_cannot_take_the_links_rights(&servers),
        what_the_link_makes_is_not_told_on(&servers),
        a_database_prepared_before_learns_to_tell(&servers),
    );
}

async fn a_message_that_somebody_else_wrote_is_no_schema_change(servers: &Servers) {
    let world = servers.world("forged", SCHEMA).await;
    let link = world.streaming().await;
    world
        .source
        .run(
            "CREATE ROLE forger; SET ROLE forger;
             SELECT pg_logical_emit_message(true, 'mainstay ddl', json_build_object(
                 'version', 1, 'token', gen_random_uuid(), 'tag', 'CREATE TABLE', 'nth', 1,
                 'role', 'mainstay', 'settings', json_build_object(),
                 'query', 'CREATE TABLE public.forged ()')::text);
             SELECT pg_logical_emit_message(true, 'mainstay ddl', 'nonsense'); RESET ROLE;",
        )
        .await;
    let hidden = "SELECT has_table_privilege('forger', 'mainstay.schema_token', 'SELECT')::text";
    assert_eq!(world.source.text(hidden).await, "false");
    world.source.run("INSERT INTO t VALUES (2, 'b')").await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}

async fn a_statement_cannot_take_the_links_rights(servers: &Servers) {
    let world = servers.world("rights", SCHEMA).await;
    let role = "CREATE ROLE climber; GRANT ALL ON SCHEMA public TO climber";
    world.source.run(role).await;
    world.target.run(role).await;
    let link = world.streaming().await;
    let port = world.target.endpoint.port;
    world
        .source
        .run(&format!(
            "SET ROLE climber;
             CREATE TABLE tried (what text);
             CREATE FUNCTION climb() RETURNS int LANGUAGE plpgsql AS $$
             DECLARE try text; BEGIN
                 IF inet_server_port() IS DISTINCT FROM {port} THEN RETURN 1; END IF;
                 FOREACH try IN ARRAY ARRAY['RESET ROLE', 'SET ROLE mainstay',
                     'RESET SESSION AUTHORIZATION', 'ALTER ROLE climber SUPERUSER'] LOOP
                     BEGIN
                         EXECUTE try;
                         INSERT INTO tried VALUES ('done: ' || try);
                     EXCEPTION WHEN OTHERS THEN INSERT INTO tried VALUES (SQLERRM);
                     END;
                 END LOOP;
                 RETURN 1;
             END $$;
             CREATE TABLE climbed (id int PRIMARY KEY); INSERT INTO climbed VALUES (1);
             ALTER TABLE climbed ADD CHECK (climb() = 1);
             RESET ROLE;"
        ))
        .await;
    world.caught_up(&link).await;
    link.stop().await;
    let tried = world.target.text("SELECT string_agg(what, '; ') FROM tried").await;
    assert!(tried.contains("cannot set parameter \"role\""), "it was tried: {tried}");
    assert!(!tried.contains("done: "), "{tried}");
    let rights = "SELECT rolsuper::text FROM pg_roles WHERE rolname = 'climber'";
    assert_eq!(world.target.text(rights).await, "false");
}

async fn what_the_link_makes_is_not_told_on(servers: &Servers) {
    const TOLD: &str = "SELECT count(*)::text FROM pg_logical_slot_peek_binary_changes('NAME', \
         NULL, NULL, 'proto_version', '1', 'publication_names', 'mainstay', 'messages', 'true') \
         WHERE get_byte(data, 0) = ascii('M')";
    let world = servers.world("told", SCHEMA).await;
    let link = world.streaming().await;
    for (side, name) in [(&world.source, "told_east"), (&world.target, "told_west")] {
        side.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    }
    world
        .source
        .run("CREATE TABLE a (id int PRIMARY KEY); ALTER TABLE a ADD b int; DROP TABLE a")
        .await;
    world.caught_up(&link).await;
    link.stop().await;
    assert_eq!(world.source.text(&TOLD.replace("NAME", "told_east")).await, "3");
    assert_eq!(world.target.text(&TOLD.replace("NAME", "told_west")).await, "0");
    world.assert_equal();
}

async fn a_database_prepared_before_learns_to_tell(servers: &Servers) {
    let world = servers.world("before", SCHEMA).await;
    let forget = "DROP SCHEMA mainstay CASCADE";
    world.source.run(forget).await;
    let link = world.link();
    mainstay_stores::postgres::setup::prepare(&world.source.endpoint).await.unwrap();
    streaming(&link).await;
    world.source.run("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)").await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}
