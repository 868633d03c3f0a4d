//! From what a connection shows to the person behind it. Whoever cannot be told is refused.

use super::certificate;
use super::{Asker, Proof};
use crate::error::Refused;
use mainstay_core::people::{People, Person, Role};
use mainstay_core::{PersonName, Secret};
use nix::unistd::{Uid, User};
use rustls::pki_types::CertificateDer;
use std::sync::{Arc, PoisonError, RwLock};

/// What the other end of a connection showed.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// On the Unix socket: the user, if the kernel tells it.
    User(Option<u32>),
    /// Over the network; a certificate is verified.
    Network(Option<CertificateDer<'static>>),
}

pub struct Register {
    people: RwLock<Arc<Named>>,
}

/// Who is named, at one time.
struct Named {
    people: Option<People>,
    /// The user that runs this agent.
    owner: u32,
}

impl Register {
    pub fn new(people: Option<People>) -> Self {
        Self { people: RwLock::new(Named::new(people)) }
    }

    /// From the next request on these are known, and nobody else.
    pub fn replace(&self, people: Option<People>) {
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = Named::new(people);
    }

    /// Whether somebody is known otherwise than so.
    pub fn differs(&self, people: Option<&People>) -> bool {
        let by_name = |people: Option<&People>| people.map(|it| it.by_name.clone());
        by_name(self.snapshot().people.as_ref()) != by_name(people)
    }

    fn snapshot(&self) -> Arc<Named> {
        self.people.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn identify(
        &self,
        shown: &Credentials,
        token: Option<&str>,
    ) -> Result<Asker, Refused> {
        let named = self.snapshot();
        match shown {
            Credentials::User(Some(uid)) => named.user(*uid, login(*uid).await),
            Credentials::User(None) => Err(stranger("the system does not tell who asks")),
            Credentials::Network(certificate) => named.visitor(certificate.as_ref(), token),
        }
    }
}

impl Named {
    fn new(people: Option<People>) -> Arc<Self> {
        Arc::new(Self { people, owner: Uid::effective().as_raw() })
    }

    /// On the Unix socket. Where nobody is named, whoever can open it is its owner.
    fn user(&self, uid: u32, login: String) -> Result<Asker, Refused> {
        let by_name = self.people.iter().flat_map(|people| &people.by_name);
        let known = by_name.clone().find(|(_, it)| it.user == login);
        let owner = uid == 0 || uid == self.owner || self.people.is_none();
        match (known, owner) {
            (_, true) => {
                let name = known.map_or(login, |(name, _)| name.to_string());
                Ok(Asker { name, role: Role::Admin, by: Proof::Owner })
            }
            (Some((name, person)), false) => {
                Ok(Asker { name: name.to_string(), role: person.role, by: Proof::User { uid } })
            }
            (None, false) => Err(Refused::new(
                "MS-PEOPLE-002",
                format!("the Unix user {login} is nobody in [people]"),
                "have an admin add [people.NAME] with this `user` at every site, and send the \
                 agents SIGHUP",
            )),
        }
    }

    /// Over the network. Who shows both has to be the same by both.
    fn visitor(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        token: Option<&str>,
    ) -> Result<Asker, Refused> {
        let by_certificate = certificate.map(|it| self.certified(it)).transpose()?;
        let by_token = token.map(|it| self.holder(it)).transpose()?;
        match (by_certificate, by_token) {
            (Some(one), Some(other)) if one.name != other.name => {
                Err(stranger("the certificate and the token are of two people"))
            }
            (Some(asker), _) | (None, Some(asker)) => Ok(asker),
            (None, None) => Err(stranger("neither a certificate nor a token was shown")),
        }
    }

    fn certified(&self, certificate: &CertificateDer<'_>) -> Result<Asker, Refused> {
        let named = certificate::read(certificate)
            .ok_or_else(|| stranger("the certificate cannot be read"))?;
        let mut known: Vec<_> = self
            .named()
            .filter(|(name, _)| named.names.iter().any(|it| it == name.as_str()))
            .collect();
        match (known.pop(), known.is_empty()) {
            (Some((name, person)), true) => Ok(Asker {
                name: name.to_string(),
                role: person.role,
                by: Proof::Certificate { key: named.key },
            }),
            (Some(_), false) => Err(stranger("the certificate names several people")),
            (None, _) => Err(stranger("the certificate names nobody in [people]")),
        }
    }

    /// Compares with every token there is, each in constant time, so that how long it takes tells
    /// nothing.
    fn holder(&self, token: &str) -> Result<Asker, Refused> {
        let shown = blake3::hash(token.as_bytes());
        let holds = |secret: &Secret| blake3::hash(secret.expose().as_bytes()) == shown;
        let mut found = None;
        for (name, person) in self.named() {
            if person.token.as_ref().is_some_and(holds) {
                found = Some(Asker { name: name.to_string(), role: person.role, by: Proof::Token });
            }
        }
        found.ok_or_else(|| stranger("the token is nobody's"))
    }

    fn named(&self) -> impl Iterator<Item = (&PersonName, &Person)> {
        self.people.iter().flat_map(|people| &people.by_name)
    }
}

fn stranger(what: &str) -> Refused {
    Refused::new(
        "MS-PEOPLE-001",
        format!("it is not known who asks: {what}"),
        "show a certificate of the people's authority that names you (--certificate and --key), or \
         your token (--token-file)",
    )
}

/// The user's name; the number of one without a name. It may come over the network.
async fn login(uid: u32) -> String {
    let user = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid))).await;
    user.ok().and_then(Result::ok).flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn register() -> Named {
        let person = |role, user: &str, token: Option<&str>| Person {
            role,
            user: user.to_owned(),
            token: token.map(Secret::new),
        };
        let name = |name: &str| PersonName::new(name).unwrap();
        let by_name = [
            (name("ana"), person(Role::Operator, "ana", Some(TOKEN))),
            (name("ben"), person(Role::Approver, "bens-login", None)),
        ];
        let people = People { authority: None, group: None, by_name: by_name.into() };
        Named { people: Some(people), owner: 500 }
    }

    #[test]
    fn on_the_socket_a_person_is_the_login_and_the_owner_an_admin() {
        let register = register();
        let told = |uid, login: &str| {
            register.user(uid, login.to_owned()).map(|it| (it.name, it.role)).map_err(|it| it.code)
        };
        assert_eq!(told(1000, "ana"), Ok(("ana".into(), Role::Operator)));
        assert_eq!(told(1001, "bens-login"), Ok(("ben".into(), Role::Approver)));
        assert_eq!(told(1002, "ben"), Err("MS-PEOPLE-002".into()), "a name is no login");
        assert_eq!(told(0, "root"), Ok(("root".into(), Role::Admin)));
        assert_eq!(told(500, "mainstay"), Ok(("mainstay".into(), Role::Admin)));
        let nobody_named = Named { people: None, owner: 500 };
        let owner = nobody_named.user(1002, "carl".to_owned()).unwrap();
        assert_eq!((owner.role, owner.by), (Role::Admin, Proof::Owner));
    }

    #[test]
    fn over_the_network_only_a_whole_token_of_somebody_opens() {
        let register = register();
        let role = |token: Option<&str>| register.visitor(None, token).map(|it| it.role).ok();
        assert_eq!(role(Some(TOKEN)), Some(Role::Operator));
        let longer = format!("{TOKEN}0");
        for wrong in [None, Some(""), Some(&TOKEN[..31]), Some(&longer), Some("ana")] {
            assert_eq!(role(wrong), None, "{wrong:?}");
        }
        let nobody_named = Named { people: None, owner: 500 };
        assert!(nobody_named.visitor(None, Some(TOKEN)).is_err());
    }
}
