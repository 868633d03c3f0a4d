//! The note beside a published name: whose answer it is, and of which epoch.

use mainstay_core::{ApplicationName, Epoch, SiteName};
use std::fmt;

/// `_mainstay.www.example.org` beside `www.example.org`: underscored, so that no host can be named
/// so (RFC 8552).
const LABEL: &str = "_mainstay";

/// Where the note of a name stands.
pub fn name(of: &str) -> String {
    format!("{LABEL}.{of}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub application: ApplicationName,
    pub epoch: Epoch,
    /// The active site.
    pub site: SiteName,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { application, epoch, site } = self;
        write!(f, "v=mainstay1 application={application} epoch={} site={site}", epoch.number())
    }
}

impl Note {
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        if word("v")? != "mainstay1" {
            return None;
        }
        let application = ApplicationName::new(word("application")?).ok()?;
        let epoch = Epoch::new(word("epoch")?.parse().ok()?);
        let site = SiteName::new(word("site")?).ok()?;
        words.next().is_none().then_some(Self { application, epoch, site })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(epoch: u64, application in "[a-z][a-z0-9-]{0,20}[a-z0-9]") {
            let note = Note {
                application: ApplicationName::new(&application).unwrap(),
                epoch: Epoch::new(epoch),
                site: SiteName::new("east").unwrap(),
            };
            prop_assert_eq!(Note::parse(&note.to_string()), Some(note));
        }

        #[test]
        fn any_text_is_a_note_or_none(text in ".{0,80}") {
            if let Some(note) = Note::parse(&text) {
                prop_assert_eq!(Note::parse(&note.to_string()), Some(note));
            }
        }
    }

    #[test]
    fn what_others_write_is_no_note() {
        for text in [
            "",
            "v=spf1 -all",
            "v=mainstay1 application=bank epoch=7",
            "v=mainstay1 application=bank epoch=-1 site=east",
            "v=mainstay1 application=bank epoch=7 site=east more",
            "v=mainstay2 application=bank epoch=7 site=east",
        ] {
            assert_eq!(Note::parse(text), None, "{text}");
        }
    }
}
