//! Logins that only read, and that may do so at a site whose servers refuse the application, whatever
//! the kind of store.

/// What a reader may do that one which only reads must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// A page in `docs/errors`.
    pub code: &'static str,
    pub reader: String,
    /// `may change public.account`.
    pub why: String,
    /// What to type, or where that depends on more, what to look for.
    pub mend: String,
}

/// What became of a store's readers when they were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub unfit: Vec<Unfit>,
    /// Those that can only read may log in. Else they wait until the server is known to have what
    /// they were promised.
    pub let_in: bool,
}
