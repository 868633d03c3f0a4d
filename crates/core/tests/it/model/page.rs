//! `docs/reference/states.md`: what core says of its states, and the transitions that the model saw.

use super::budget::Budget;
use super::explore::Explorer;
use super::families::{NONE, steady};
use super::world::World;
use mainstay_core::decision::State;
use mainstay_core::estate::FailoverMode::{Approve, Automatic};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

const HEAD: &str = "# States of a site

Generated from the code and from its exhaustive exploration \
(`crates/core/tests/it/model/page.rs`); after a change that is meant: `MAINSTAY_GOLDEN=write cargo \
nextest run -p mainstay-core -E 'test(page)'`.

A state is what the decision (`crates/core/src/decision/mod.rs`) comes to from what is true now. It \
is shown to people and entered in the ledger, and it is never stored: after a restart the same \
facts lead to the same state. What has to outlive a crash is kept elsewhere, as the table says.

The numbers are those of the invariants: 1 one site accepts writes; 2 an epoch has one holder and \
never goes back; 3 the bound for the lag; 4 nothing needs the failed site; 5 a cut or a lost \
minority is no disaster; 6 the cool-down; 7 journaled, safe to make twice, refused when stale; \
8 forward only, and a returning site is fenced; 9 a position is durable; 10 equal at a position; \
11 the last site is not fenced.
";

/// Small families that between them show every state.
fn transitions() -> BTreeSet<(Option<&'static str>, &'static str)> {
    let budgets = [
        Budget { cuts: 1, crashes: 1, ..NONE },
        Budget { cuts: 2, ..NONE },
        Budget { troubles: 1, crashes: 1, ..NONE },
        Budget { moves: 1, cuts: 1, ..NONE },
        Budget { restores: 1, crashes: 2, epochs: 2, ..NONE },
    ];
    let mut shown = BTreeSet::new();
    for budget in budgets {
        shown.extend(Explorer::new(Automatic).explore(steady(budget)).notes.shown);
    }
    let approve = Budget { orders: 1, crashes: 1, ..NONE };
    shown.extend(Explorer::new(Approve).explore(steady(approve)).notes.shown);
    let begins = World::empty(Budget { epochs: 1, ..NONE });
    shown.extend(Explorer::new(Automatic).explore(begins).notes.shown);
    shown
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| state | who sets it | what is persisted before it is left | carries |\n");
    page.push_str("|---|---|---|---|\n");
    for state in State::ALL {
        let said = state.described();
        let numbers: Vec<String> = said.invariants.iter().map(u8::to_string).collect();
        let numbers = numbers.join(", ");
        let (name, set_by, kept) = (state.name(), said.set_by, said.kept);
        let _written = writeln!(page, "| `{name}` | {set_by} | {kept} | {numbers} |");
    }
    page.push_str(
        "\nEvery transition that two sites can show, in two cuts, two crashes, a planned move, an \
         order, something wrong with a site, an old copy of the record. The witness shows \
         `witness` only.\n\n```mermaid\nstateDiagram-v2\n",
    );
    for (from, to) in transitions() {
        let from = from.map_or("[*]".to_owned(), |from| from.replace('-', "_"));
        let _written = writeln!(page, "    {from} --> {}", to.replace('-', "_"));
    }
    page.push_str("```\n");
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a generated page is compared with its file")]
fn the_page_of_states_is_what_the_code_does() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/states.md");
    let page = page();
    if std::env::var_os("MAINSTAY_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/reference/states.md differs from what the code does:\n{page}");
    for state in State::ALL.iter().filter(|state| **state != State::Witness) {
        let name = state.name().replace('-', "_");
        assert!(page.contains(&format!("--> {name}\n")), "{name} was never reached");
    }
}
