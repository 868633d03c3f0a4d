//! What `[alerts.<name>]` means, as one site sees it. Every agent tells people, so every site reads
//! the secrets.

use super::load::Look;
use super::problem::{Problem, code};
use super::reader::At;
use super::resolve::{Resolver, value};
use super::typed::Alert;
use super::values::{NotifierWord, UrlText};
use mainstay_core::notifier::{Email, HttpTarget, HttpUrl, Notifier, NotifierKind};
use mainstay_core::{NotifierName, Secret};
use std::path::PathBuf;
use std::time::Duration;

/// Often enough that nobody forgets, and seldom enough that nobody mutes it.
const USUAL: Duration = Duration::from_secs(3600);
/// Alertmanager forgets in five minutes what it is not told again.
const ALERTMANAGER: Duration = Duration::from_secs(60);

impl Resolver<'_> {
    pub(super) fn notifier(&mut self, _: &NotifierName, at: &At<Alert>) -> Option<Notifier> {
        let typed = &at.value;
        let word = typed.kind.as_ref()?.value;
        let usual = if word == NotifierWord::Alertmanager { ALERTMANAGER } else { USUAL };
        let applications = typed.applications.iter().flat_map(|list| &list.value);
        Some(Notifier {
            applications: applications.map(|at| at.value.clone()).collect(),
            least: value(&typed.least)?,
            every: value(&typed.every).map_or(Some(usual), |every| every.0),
            kind: match word {
                NotifierWord::Webhook => NotifierKind::Webhook {
                    to: self.target(typed)?,
                    secret: self.kept(&typed.secret)?,
                },
                NotifierWord::Alertmanager => {
                    NotifierKind::Alertmanager { to: self.target(typed)? }
                }
                NotifierWord::Command => {
                    let run = &typed.run.as_ref()?.value;
                    NotifierKind::Command { run: run.iter().map(|at| at.value.clone()).collect() }
                }
                NotifierWord::Email => NotifierKind::Email(self.email(typed)?),
            },
        })
    }

    fn target(&mut self, typed: &Alert) -> Option<HttpTarget> {
        let authority = self.notifier_authority(typed);
        Some(HttpTarget { url: self.url(typed.url.as_ref()?)?, authority })
    }

    /// Where nobody looks for secrets, one that is kept elsewhere is taken to be good.
    fn url(&mut self, at: &At<UrlText>) -> Option<HttpUrl> {
        let reference = match &at.value {
            UrlText::Plain(url) => return Some(url.clone()),
            UrlText::Kept(reference) => reference.clone(),
        };
        let reference = At { value: reference, place: at.place.clone(), span: at.span.clone() };
        let kept = self.kept(&Some(reference))?;
        let text = kept.as_ref().map_or("https://not.looked.at", |kept| kept.expose());
        match HttpUrl::parse(text) {
            Ok(url) => Some(url),
            Err(why) => {
                let what = format!("{}: what is kept there {why}", at.place);
                let advice = "keep a whole URL there, such as https://hooks.example.org/x";
                self.problems.push(at.blame(Problem::error(code::BAD_VALUE, what, advice)));
                None
            }
        }
    }

    fn kept(
        &mut self,
        reference: &Option<At<super::values::SecretReference>>,
    ) -> Option<Option<Secret>> {
        let looks = self.vault.look == Look::Everywhere;
        self.secret(reference.as_ref().filter(|_| looks))
    }

    fn notifier_authority(&mut self, typed: &Alert) -> Option<PathBuf> {
        let written = typed.authority.as_ref()?;
        let path = self.vault.path(&written.value);
        self.must_exist(written, &[&path]);
        Some(path)
    }

    fn email(&mut self, typed: &Alert) -> Option<Email> {
        let server = &typed.server.as_ref()?.value;
        Some(Email {
            host: server.host.clone(),
            port: server.port,
            encryption: value(&typed.encryption)?,
            authority: self.notifier_authority(typed),
            user: value(&typed.user),
            password: self.kept(&typed.password)?,
            from: value(&typed.from)?.0,
            to: typed.to.as_ref()?.value.iter().map(|at| at.value.0.clone()).collect(),
        })
    }
}
