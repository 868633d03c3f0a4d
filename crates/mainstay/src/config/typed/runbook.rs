//! What a person adds to the built-in runbooks.

use super::Named;
use crate::config::reader::{At, table};
use crate::config::values::{
    Address, Count, SecretReference, Statuses, UrlPath, VariableName, WorkKind,
};
use mainstay_core::{SiteName, StoreName};
use std::time::Duration;

table! {
    /// Steps of one's own among the built-in ones; `mainstay runbook show failover` shows where
    /// they come to stand.
    Runbook {
        /// Away from a site that is lost.
        failover: Vec<At<Step>> = Optional;
        /// Planned, losing nothing. Between `hold` and `claim` nothing can be added: the clients
        /// are held there.
        switchover: Vec<At<Step>> = Optional;
        /// A switchover to the application's home. When left out: what `switchover` has.
        failback: Vec<At<Step>> = Optional;
    }
}

table! {
    /// One step. Exactly one of `after`, `before` and `instead` says where it stands. In texts and
    /// arguments `{from}`, `{to}`, `{epoch}`, `{application}`, `{execution}`, `{key}` and
    /// `{gate.STORE}` (where the gate of the new active site takes the store's connections) stand
    /// for what they name. `{key}` is the same whenever the same step of the same execution is made
    /// again.
    Step {
        /// Its name, which no other step of the runbook has.
        name: String = Required;
        /// `run`: a program. `scale`: the same, for a size that is set. `http`: a request.
        /// `repoint`: variables in an environment file. `warm`: a list of paths is asked for.
        /// `verify`: a request, or a query, must be answered as it should. `deploy`: both sites must
        /// have the same version. `wait`: time passes. `approve`: an approver who did not start it
        /// says yes. `notify`: people are told.
        kind: WorkKind = Required;
        /// It comes right after this step.
        after: String = Optional;
        /// It comes right before this step.
        before: String = Optional;
        /// It takes this step's place; only `verify` can be replaced.
        instead: String = Optional;
        /// Steps with the same word here that stand next to each other are made side by side.
        group: String = Optional;
        /// Only in moves to this site.
        to: SiteName = Optional;
        /// It is left out when one of these steps was not done.
        needs: Vec<At<String>> = Optional;
        /// How long one try may take.
        timeout: Duration = Default("\"30s\"");
        /// How often it is tried until a person is asked.
        tries: Count = Default("3");
        /// From the first try to the second; it doubles with each.
        pause: Duration = Default("\"1s\"");
        /// Whether the execution goes on when it fails.
        optional: bool = Default("false");
        /// `run`, `scale`: the program, which must stand in `step-commands`, and its arguments. No
        /// shell reads them, and they are kept in the ledger: no secrets.
        command: Vec<At<String>> = Optional;
        /// `run`, `scale`: says after a crash or a failed try whether the effect is there: exit
        /// status 0, yes; 1, no; every other, a person is asked.
        probe: Vec<At<String>> = Optional;
        /// `run`, `scale`: takes it back when a switchover is given up. Safe to run twice.
        undo: Vec<At<String>> = Optional;
        /// `run`, `http`: it may be made again although nobody knows whether it was made.
        repeatable: bool = Default("false");
        /// The whole environment of its programs.
        environment: Named<VariableName, SecretReference> = Optional;
        /// `http`, `warm`, `verify`: the server.
        address: Address = Optional;
        /// `http`, `verify`: `GET`, `POST`, `PUT` or `DELETE`; `POST` for `http` and `GET` for
        /// `verify` when left out.
        method: String = Optional;
        /// `http`, `verify`: what is asked for.
        path: UrlPath = Optional;
        /// `http`, `verify`: what is sent, as JSON.
        body: String = Optional;
        /// `http`, `verify`: which statuses are good; `200-299` when left out.
        status: Statuses = Optional;
        /// `http`, `verify`: file with the certificates that signed the server's, relative to this
        /// file; with it the request is encrypted.
        authority: String = Optional;
        /// `http`, `verify`: whether 169.254.0.0/16 and fe80::/10 may be asked.
        link_local: bool = Default("false");
        /// `repoint`: the environment file, with its whole path.
        file: String = Optional;
        /// `repoint`: what is written there; other lines stay as they are.
        variables: Named<VariableName, String> = Optional;
        /// `repoint`: the program that has the application read the file. Safe to run twice.
        reload: Vec<At<String>> = Optional;
        /// `warm`: file with a path on each line, such as `/accounts/1`.
        list: String = Optional;
        /// `warm`: how many are asked for at once.
        concurrency: Count = Default("8");
        /// `warm`: it has failed with so many failures.
        most_failures: Count = Default("10");
        /// `verify`: the store that is asked, at the new active site.
        store: StoreName = Optional;
        /// `verify`: a query whose first value is looked at. It cannot write.
        query: String = Optional;
        /// `verify`: what that value must be.
        expect: String = Optional;
        /// `verify`: what that value must be at least, such as a number of rows.
        at_least: Count = Optional;
        /// `deploy`: prints the version of the application at the site that conducts the move.
        version: Vec<At<String>> = Optional;
        /// `deploy`: prints the version that must be there.
        wanted: Vec<At<String>> = Optional;
        /// `wait`: how long.
        span: Duration = Optional;
        /// `approve`: what the approver is asked; `notify`: what people are told.
        text: String = Optional;
    }
}
