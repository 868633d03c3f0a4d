//! The PostgreSQL and Redis stores against real servers.
//!
//! `cfg(test)` tells the lints that helpers of tests are tests too.

#[cfg(test)]
mod battery;
#[cfg(test)]
mod check;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod compare_cost;
#[cfg(test)]
mod compare_unlike;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod link_changes;
#[cfg(test)]
mod link_copy;
#[cfg(test)]
mod link_copy_faults;
#[cfg(test)]
mod link_faults;
#[cfg(test)]
mod link_history;
#[cfg(test)]
mod link_position;
#[cfg(test)]
mod link_schema;
#[cfg(test)]
mod link_schema_load;
#[cfg(test)]
mod link_schema_stops;
#[cfg(test)]
mod link_stops;
#[cfg(test)]
mod link_transport;
#[cfg(test)]
mod link_world;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod put_right;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod recheck;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod redis_fence;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod salvage;
#[cfg(test)]
mod salvage_decisions;
#[cfg(test)]
mod salvage_figures;
#[cfg(test)]
mod salvage_script;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod sites;
#[cfg(test)]
mod way_back;
#[cfg(test)]
mod way_back_large;
