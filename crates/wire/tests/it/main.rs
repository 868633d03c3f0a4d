mod pgoutput;
mod streaming;
