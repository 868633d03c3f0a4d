//! Names that people give to sites, applications, stores and people.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name: use 1 to 32 of a-z, 0-9 and '-', beginning with a letter")]
pub struct BadName {
    pub name: String,
}

fn check(name: &str) -> Result<(), BadName> {
    let mut chars = name.chars();
    let first_is_letter = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest_is_plain = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if first_is_letter && rest_is_plain && name.len() <= 32 {
        Ok(())
    } else {
        Err(BadName { name: name.to_owned() })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
                let name = name.into();
                check(&name)?;
                Ok(Self(name))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(name: String) -> Result<Self, BadName> {
                Self::new(name)
            }
        }

        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(name: &str) -> Result<Self, BadName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A place where the application can run, or a witness.
    SiteName
);
name!(
    /// What fails over as one.
    ApplicationName
);
name!(
    /// Data that an application cannot lose.
    StoreName
);
name!(
    /// Whoever may ask an agent for something.
    PersonName
);
name!(
    /// One way to look at an application.
    ProbeName
);
name!(
    /// One way to people.
    NotifierName
);
name!(
    /// Upstreams of a gate that answer the same requests.
    GroupName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_letters_digits_and_dashes() {
        for good in ["east", "eu-west-1", "a"] {
            assert!(SiteName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "East", "1a", "a_b", "a b", "a/b", "é", &"a".repeat(33)] {
            assert!(SiteName::new(bad).is_err(), "{bad}");
        }
    }
}
