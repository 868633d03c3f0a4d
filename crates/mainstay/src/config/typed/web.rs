//! The web side of a gate beyond its addresses.

use crate::config::reader::{At, table};
use crate::config::values::{Address, CookieName, HostPattern, Number, UrlPath};
use mainstay_core::GroupName;
use std::time::Duration;

table! {
    /// TLS with clients, terminated by the gate: 1.2 and 1.3, with HTTP/2 for clients that speak it.
    /// The files are looked at every second, and on SIGHUP: a new certificate takes effect for new
    /// connections, and no connection is ended.
    HttpTls {
        /// File with the certificate and what signed it, in PEM, relative to this file.
        certificate: String = Required;
        /// File with its key.
        key: String = Required;
        /// File with the certificates that signed it: with these the agents probe the gate. The
        /// certificate must be good for the host of `address`.
        authority: String = Required;
    }
}

table! {
    /// Processes that answer the same requests. The one with the fewest requests under way gets the
    /// next.
    Group {
        /// The processes at this site.
        upstreams: Vec<At<Address>> = Required;
        /// A path that each of them is asked for every second: one that does not answer 2xx twice
        /// in a row gets no requests until it does. When left out only failed requests tell.
        check: UrlPath = Optional;
        /// The name of a cookie by which a client comes back to the same process.
        sticky: CookieName = Optional;
    }
}

table! {
    /// Requests that go to a group. Of several routes that fit the one with a whole host wins, then
    /// the one with the longest path. What fits none goes to `upstreams`.
    Route {
        /// A host, or `*.` and a domain: all hosts below it. Any host when left out.
        host: HostPattern = Optional;
        /// The path begins with these segments: `/api` fits `/api/x`, and not `/apis`.
        path: UrlPath = Default("\"/\"");
        /// Where they go.
        group: GroupName = Required;
    }
}

table! {
    /// Bounds on what clients can make the gate do. `connections` and `head-time` hold for the
    /// gate's ports for stores too.
    HttpLimits {
        /// Connections at a time; more wait. 10000 when left out.
        connections: Number = Optional;
        /// Bytes of one request's head, from 8192; 65536 when left out. A longer one is answered
        /// with 431.
        head: Number = Optional;
        /// Fields of one request's head; 100 when left out.
        headers: Number = Optional;
        /// How long a request's head may take to come in; 10s when left out.
        head_time: Duration = Optional;
        /// How long a connection may rest between two requests; 75s when left out.
        idle_time: Duration = Optional;
        /// Bytes of one request's body; no bound when left out. A longer one is answered with 413.
        body: Number = Optional;
        /// How long a request's body may stand still; 60s when left out. Then 408 is answered.
        body_idle: Duration = Optional;
        /// How long an upstream may take to begin an answer; no bound when left out. Then 504 is
        /// answered.
        answer_time: Duration = Optional;
    }
}

table! {
    /// One line of JSON for each request of a client, without cookies and authorisation.
    AccessLog {
        /// The file; it is opened again on SIGHUP.
        file: String = Required;
        /// Whether query strings are written. They often hold secrets.
        queries: bool = Default("false");
    }
}
