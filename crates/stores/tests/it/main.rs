mod fence;
mod link_transport;
