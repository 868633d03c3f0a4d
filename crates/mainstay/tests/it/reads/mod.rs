//! Readers at their own address.

mod load;
mod world;

use load::Load;
use mainstay_testkit::{Signal, signal, wait_for};
use std::sync::atomic::{AtomicBool, Ordering};
use world::{LONG, World};

fn told(output: &std::process::Output) -> String {
    let all = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy);
    all.concat()
}

#[tokio::test]
async fn a_reader_reads_at_the_standby_cannot_write_there_and_is_led_to_the_writer_when_it_is_behind()
 {
    let world = World::start().await;
    let written = world.write().expect("it is written");
    wait_for("the write is read at west", LONG, async || {
        world.read("west").is_some_and(|it| world.is_by(&it, "west") && it.n >= written)
    })
    .await;
    let reads = world.reads["west"];
    let update = "UPDATE clock SET n = 0";
    let begins = told(&world.says("reader", reads, update));
    assert!(begins.contains("25006"), "a session begins by only reading: {begins}");
    let off = format!("BEGIN READ WRITE; {update}; COMMIT");
    for port in [reads, world.servers["west"].port()] {
        let refused = told(&world.says("reader", port, &off));
        assert!(refused.contains("42501"), "the server itself refuses: {refused}");
    }
    let app = world.says("app", world.servers["west"].port(), update);
    assert!(told(&app).contains("not permitted to log in"), "{}", told(&app));

    let load = Load::default();
    std::thread::scope(|scope| {
        scope.spawn(|| load.write(&world));
        scope.spawn(|| load.read(&world, "west"));
        let by = |site: &str| load.last("west").is_some_and(|last| world.is_by(&last, site));
        let until = |site: &str| {
            wait_until(&format!("readers at west are led to {site}"), || by(site));
        };
        let stopping = Stop(&load);
        until("west");
        signal(world.pid("west-agent"), Signal::SIGSTOP);
        until("east");
        let status = told(&world.run("east", &["status"]));
        assert!(status.contains("reads"), "{status}");
        signal(world.pid("west-agent"), Signal::SIGCONT);
        drop(stopping);
    });
    world.answered_by("west", "west").await;
    load.judge(10.0);
    let shown = told(&world.run("west", &["status"]));
    assert!(shown.contains("db at west: its own"), "{shown}");
}

/// Also when the test fails.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[tokio::test]
async fn readers_are_told_nothing_too_old_through_a_switchover_a_failover_and_a_way_back() {
    let mut world = World::start().await;
    let load = Load::default();
    let mut before = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| load.write(&world));
        scope.spawn(|| load.read(&world, "east"));
        scope.spawn(|| load.read(&world, "west"));
        let stopping = Stop(&load);
        let fenced = AtomicBool::new(false);
        std::thread::scope(|knocking| {
            knocking.spawn(|| load.knock(&world, "west", &fenced));
            wait_until("both are read", || {
                let own = |site| load.last(site).is_some_and(|last| world.is_by(&last, site));
                own("east") && own("west") && load.writes() > 20
            });
            fenced.store(true, Ordering::SeqCst);
        });
        before = load.last("west").expect("it was read").n;
        wait_until("it is switched over", || {
            world.run("east", &["switchover", "--to", "west"]).status.success()
        });
        fenced.store(false, Ordering::SeqCst);
        std::thread::scope(|knocking| {
            knocking.spawn(|| load.knock(&world, "east", &fenced));
            let written = load.writes();
            wait_until("writes go on", || load.writes() > written + 20);
            wait_until("east is back and read", || {
                world.state("east") == "standby"
                    && load.last("east").is_some_and(|last| world.is_by(&last, "east"))
            });
            fenced.store(true, Ordering::SeqCst);
        });
        drop(stopping);
    });
    load.judge(10.0);
    assert!(kept_through(&world, &load, before), "the promoted site's readers were cut");

    world.kill_site("west");
    wait_for("east takes over", LONG, async || world.write().is_some()).await;
    let west = world.servers.get_mut("west").expect("it has one");
    west.restart();
    let admin = west.client("bank").await;
    admin.batch_execute("INSERT INTO clock VALUES (99, 99)").await.expect("what only west has");
    world.start_site("west");
    let load = Load::default();
    std::thread::scope(|scope| {
        scope.spawn(|| load.write(&world));
        scope.spawn(|| load.read(&world, "west"));
        let stopping = Stop(&load);
        wait_until("west's readers are answered by east", || {
            load.last("west").is_some_and(|last| world.is_by(&last, "east"))
        });
        wait_until("west is back", || world.state("west") == "standby");
        drop(stopping);
    });
    world.answered_by("west", "west").await;
    load.judge(10.0);
}

/// One session of a reader at west read there what was written before the promotion and after it.
fn kept_through(world: &World, load: &Load, before: u64) -> bool {
    let answers = load.answers();
    let own = || {
        let here = answers.iter().filter(|(gate, it)| *gate == "west" && world.is_by(it, "west"));
        here.map(|(_, it)| it)
    };
    let Some(last) = own().next_back().filter(|last| last.n > before + 20) else { return false };
    own().any(|it| it.backend == last.backend && it.n <= before)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "waited {LONG:?}, and still not: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
