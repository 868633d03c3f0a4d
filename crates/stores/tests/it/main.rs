mod fence;
mod link_transport;
mod salvage;
mod sites;
