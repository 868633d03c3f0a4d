//! A disk that is full for a while. Before the claim that ends a planned move; past it there is only
//! forward, whatever was being written.

use super::*;
use mainstay_testkit::wait_for;

/// More refusals than a step is tried by itself.
const REFUSALS: u64 = 3;

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_past_the_claim_ends_nothing() {
    for kind in [ExecutionKind::Failover, ExecutionKind::Switchover] {
        let mut at = 0;
        while was_full_at(kind, at).await {
            at += 1;
        }
        assert!(at > 8, "{at} writes");
    }
}

/// False when it had ended before.
async fn was_full_at(kind: ExecutionKind, at: u64) -> bool {
    let world = World::new();
    let question = "shall it go on?".to_owned();
    let own = [
        after("verify", "first", Work::Run(world.appends(true))),
        after("first", "asks", Work::Approve { question }),
        after("asks", "last", Work::Run(world.appends(true))),
    ];
    let application = world.wakes(&own, world.disk()).await;
    claimed(&application);
    let execution = own_only(&application, kind);
    *world.disk.full.lock().unwrap() = Some((at, REFUSALS));
    let work = application.clone();
    let conducting = tokio::spawn(async move {
        engine::conduct(&work, execution).await;
        // The end was not recorded: it is taken up again, as the main loop does.
        while let Some(open) = is_open(&work) {
            engine::conduct(&work, open).await;
        }
    });
    answer_until_it_ends(&application, || conducting.is_finished()).await;
    conducting.await.unwrap();
    let was_full = world.disk.has_room_again();
    assert_eq!(state_of(&application), Some(ExecutionState::Succeeded), "{kind:?}, full at {at}");
    let once = ["first", "last"].map(|it| format!("bank-2-test/{it}/2"));
    assert_eq!(world.effects(), once, "{kind:?}, full at {at}");
    was_full
}

fn is_open(application: &Application) -> Option<Execution> {
    let now = application.known().execution.clone();
    now.filter(|it| matches!(it.state, ExecutionState::Running | ExecutionState::Stuck))
}

async fn answer_until_it_ends(application: &Application, has_ended: impl Fn() -> bool) {
    let asked = || is_open(application).filter(|it| !it.questions.is_empty());
    loop {
        wait_for("it asks or ends", PATIENCE, async || asked().is_some() || has_ended()).await;
        let Some(now) = asked().filter(|_| !has_ended()) else { return };
        let answer = match now.questions[0].step.as_str() {
            "asks" => Answer::Resume,
            // It is looked again whether it was made.
            _ => Answer::Retry,
        };
        say(application, &now, answer);
        wait_for("it hears the answer", PATIENCE, async || {
            has_ended() || asked().is_none_or(|it| it.questions != now.questions)
        })
        .await;
    }
}

#[tokio::test]
async fn a_planned_move_that_cannot_be_journaled_is_given_up_before_its_claim() {
    let world = World::new();
    let own = [after("verify", "first", Work::Run(world.appends(true)))];
    let application = world.wakes(&own, world.disk()).await;
    application.learn(|known| known.facts.highest = Epoch::new(1));
    let execution = own_only(&application, ExecutionKind::Switchover);
    *world.disk.full.lock().unwrap() = Some((0, 1));
    engine::conduct(&application, execution).await;
    let ended = settles(&application).await;
    assert_eq!(ended.state, ExecutionState::Aborted);
    assert!(ended.facts["reason"].as_str().unwrap().contains("the disk is full"), "{ended:?}");
    assert_eq!(world.effects(), [""; 0]);
}
