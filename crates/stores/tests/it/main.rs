mod link_transport;
