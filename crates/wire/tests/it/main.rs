#[cfg(test)]
mod pgoutput;
mod rdb;
#[cfg(test)]
mod streaming;
