//! The cases, by subject.

mod identity;
mod keys;
mod names;
pub mod own;
mod shapes;
mod sides;
mod types;
mod values;

use super::case::Case;

/// The database's, before any case's own tables.
pub const EXTENSIONS: &str = "SET search_path = public; CREATE EXTENSION hstore; \
    CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION seg; \
    CREATE EXTENSION isn; CREATE EXTENSION btree_gist; CREATE EXTENSION intarray;\n";

pub fn all() -> impl Iterator<Item = &'static Case> {
    let subjects = [
        identity::CASES,
        keys::CASES,
        names::CASES,
        shapes::CASES,
        sides::CASES,
        types::CASES,
        values::CASES,
    ];
    subjects.into_iter().flatten()
}
