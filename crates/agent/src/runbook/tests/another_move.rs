//! A planned move beside another move that makes the same epoch first. Who made an epoch is told by
//! its record alone.

use super::*;
use crate::act::execution;
use mainstay_core::Record;
use mainstay_core::decision::SeenRecord;
use mainstay_core::record::Cause;
use mainstay_testkit::wait_for;

/// What the coordinator answers.
fn answers(application: &Application, record: Record) {
    let now = crate::time::tick();
    application.learn(|known| {
        known.facts.highest = known.facts.highest.max(record.epoch);
        known.facts.record = Some(SeenRecord { record, changed: now, read: now });
    });
}

fn first() -> Record {
    Record::first(site("west"))
}

#[tokio::test]
async fn no_planned_move_begins_while_a_failover_to_the_same_site_may_be_made() {
    let world = World::new();
    let application = world.wakes(&[], world.disk()).await;
    answers(&application, first());
    application.learn(|known| known.facts.claiming = Some(first()));
    let planned = own_only(&application, ExecutionKind::Switchover);
    assert!(!execution::begin(&application, planned.clone()), "the claim is open");
    assert!(!application.known().facts.executing);
    answers(&application, first().renewed(BTreeMap::new()));
    assert!(execution::begin(&application, planned), "the active site came first");
}

#[tokio::test]
async fn a_planned_move_ends_when_another_one_has_made_its_epoch() {
    let world = World::new();
    let wait = Work::Wait { span: Duration::from_secs(600) };
    let own = [after("verify", "long", wait)];
    for (by, cause) in [("east", Cause::Automatic), ("north", Cause::Switchover)] {
        let application = world.wakes(&own, Disk::Simulated(Arc::<Crashing>::default())).await;
        answers(&application, first());
        assert!(execution::begin(&application, own_only(&application, ExecutionKind::Switchover)));
        let waits = |it: &Execution| it.steps.iter().any(|step| step.state == StepState::Intent);
        let began = async || application.known().execution.clone().filter(waits);
        wait_for_value("the step begins", PATIENCE, began).await;
        answers(&application, first().claimed_by(&site(by), cause));
        let ended = settles(&application).await;
        assert_eq!(ended.state, ExecutionState::Aborted, "{by}, {cause:?}");
        let why = ended.facts["reason"].as_str().unwrap();
        assert!(why.contains("another move came first"), "{why}");
    }
}

/// The agent died before it knew that its claim was made, and after it had begun a planned move.
#[tokio::test]
async fn after_a_restart_what_made_the_epoch_is_carried_on_and_not_what_only_wanted_it() {
    let world = World::new();
    let before = world.wakes(&[], world.disk()).await;
    let mut planned = own_only(&before, ExecutionKind::Switchover);
    planned.id = "bank-2-switchover".to_owned();
    before.keep_execution(&planned).await.unwrap();
    let again = world.wakes(&[], world.disk()).await;
    answers(&again, first().claimed_by(&site("east"), Cause::Automatic));
    execution::resume_abandoned(&again);
    let aborted = settles(&again).await;
    assert_eq!((aborted.id, aborted.state), (planned.id, ExecutionState::Aborted));
    wait_for("nothing is executed", PATIENCE, async || !again.known().facts.executing).await;
    execution::promote(&again);
    let promotes = async || {
        let now = again.known().execution.clone();
        now.filter(|it| it.kind == ExecutionKind::Failover && it.epoch == Epoch::new(2))
    };
    wait_for_value("the failover is conducted", PATIENCE, promotes).await;
}

#[tokio::test]
async fn a_failover_that_a_crash_cut_off_ends_when_a_newer_epoch_was_made_meanwhile() {
    let world = World::new();
    let before = world.wakes(&[], world.disk()).await;
    let cut_off = own_only(&before, ExecutionKind::Failover);
    before.keep_execution(&cut_off).await.unwrap();
    let again = world.wakes(&[], world.disk()).await;
    let newer = first().claimed_by(&site("east"), Cause::Automatic);
    answers(&again, newer.claimed_by(&site("west"), Cause::Ordered));
    execution::resume_abandoned(&again);
    let ended = settles(&again).await;
    assert_eq!(ended.state, ExecutionState::Aborted);
    assert!(ended.facts["reason"].as_str().unwrap().contains("a newer epoch"), "{ended:?}");
}

/// A claim of a planned move can be made after its agent died, and gave that move up.
#[tokio::test]
async fn an_epoch_that_a_planned_move_made_is_carried_on_when_that_move_is_gone() {
    let world = World::new();
    let own = [after("verify", "then", Work::Run(world.appends(true)))];
    let application = world.wakes(&own, world.disk()).await;
    answers(&application, first().claimed_by(&site("east"), Cause::Switchover));
    let promotion = own_only(&application, ExecutionKind::Failover);
    engine::conduct(&application, promotion).await;
    assert_eq!(settles(&application).await.state, ExecutionState::Succeeded);
    assert_eq!(world.effects(), ["bank-2-test/then/2"]);
}
