mod check;
mod compare;
mod fence;
mod link_transport;
mod put_right;
mod salvage;
mod sequences;
mod sites;
