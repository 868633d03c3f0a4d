//! How clients connect to stores through a gate.

use crate::config::reader::table;
use std::time::Duration;

table! {
    /// Connections to the stores through one gate. Without it they are not encrypted between clients
    /// and gate, and may become as old as they like.
    Tcp {
        /// File with the certificate that the gate shows to clients (PEM, the leaf first), relative
        /// to this file. It is read again when it changes.
        certificate: String = Optional;
        /// File with the certificate's key.
        key: String = Optional;
        /// Clients and servers encrypt between themselves. The gate then knows nothing of what
        /// passes: a switch cuts a connection that has been quiet for a moment, even within a
        /// transaction, and PostgreSQL's clients get a reset instead of SQLSTATE 57P01.
        through: bool = Default("false");
        /// After this long a connection is ended at the next moment at which that loses nothing, so
        /// that pools spread again over what is there. Left out: never.
        max_age: Duration = Optional;
    }
}
