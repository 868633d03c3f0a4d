#[cfg(test)]
mod pgoutput;
#[cfg(test)]
mod streaming;
