//! The link's battery: everything that PostgreSQL can do, on real servers of each major and
//! between unequal ones, judged by one `pg_dump` of both sides.
//!
//! What chance decides is drawn from a seed, which each run prints: `MAINSTAY_SEED=7` plays it
//! again. The long forms, which `make soak` runs, are named `…::soak_…`.

mod beside;
mod case;
mod cases;
mod child;
mod ground;
mod issued;
mod kills;
mod large;
mod lost;
mod orders;
mod random;
mod reader;
mod seed;
