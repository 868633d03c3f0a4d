//! What is explored: each family is exhaustive within its budget.

use super::budget::{Budget, Only};
use super::explore::{Explored, Explorer};
use super::liveness;
use super::world::World;
use mainstay_core::estate::FailoverMode;

/// East is active and west follows, everything is well and has been for long.
fn steady(budget: Budget) -> World {
    let mut explorer = Explorer::new(FailoverMode::Automatic);
    let mut world = World::empty(Budget::default());
    super::explore::settle(&mut world, &mut explorer, 12);
    World { budget, ..world }
}

fn hold(name: &str, explored: &Explored) {
    let Explored { states, transitions, depth, views, violation, notes } = explored;
    println!(
        "model {name}: {states} states, {transitions} transitions, depth {depth}, {views} views \
         decided; saw {:?}",
        notes.happened
    );
    if let Some((invariant, trace)) = violation {
        panic!("{name}: does not hold: {invariant}\n{trace}");
    }
}

#[test]
fn quiet() {
    let budget = Budget { epochs: 3, ..Budget::default() };
    let explored = Explorer::new(FailoverMode::Automatic).explore(steady(budget));
    hold("quiet", &explored);
}

#[test]
fn try_it() {
    let n = |name: &str| std::env::var_os(name).map_or(0, |v| v.to_str().unwrap().parse().unwrap());
    let budget = Budget {
        epochs: 3,
        cuts: n("CUTS"),
        crashes: n("CRASHES"),
        pauses: n("PAUSES"),
        clocks: n("CLOCKS"),
        late: n("LATE"),
        troubles: n("TROUBLES"),
        moves: n("MOVES"),
        orders: n("ORDERS"),
        restores: n("RESTORES"),
        ..Budget::default()
    };
    let began = std::time::SystemTime::UNIX_EPOCH;
    let _ = (began, Only::Between);
    let also = match n("ALSO") {
        1 => liveness::heals,
        2 => liveness::follows,
        3 => liveness::goes_on,
        _ => |_: &World, _: &mut super::view::Decider| None,
    };
    let explored = Explorer::new(FailoverMode::Automatic).also(also).explore(steady(budget));
    hold("try", &explored);
}
