//! `[people]`: keys of its own beside a table for each person, who stands under a chosen name.

use super::reader::{At, Key, Need, Read, Reader, Shape, Table};
use super::typed::{Named, Person};
use super::values::{Name, read_entry};
use mainstay_core::PersonName;
use toml::Spanned;
use toml::de::DeValue;

#[derive(Debug, Clone)]
pub struct People {
    pub authority: Option<At<String>>,
    pub group: Option<At<String>>,
    pub by_name: Named<PersonName, Person>,
}

/// The keys that are no names: nobody can be called so.
const AUTHORITY: &str = "authority";
const GROUP: &str = "group";

const ABOUT: &str = "Who may do what. Whoever is not named here may do nothing, but for the user \
    that runs the agent, and root.";
const ABOUT_AUTHORITY: &str = "File with the certificates that signed people's own, relative to \
    this file. It is not the authority of the sites: a person's certificate is no site's, and a \
    site's is no person's. Without it people show tokens.";
const ABOUT_GROUP: &str = "The Unix group whose members may open the agent's socket. Without it \
    only the user that runs the agent, and root, can.";

impl Read for People {
    fn shape() -> Shape {
        let key = |name: &str, about, shape| Key {
            name: name.to_owned(),
            about,
            need: Need::Optional,
            shape,
        };
        Shape::Table(Table {
            about: ABOUT,
            keys: vec![
                key(AUTHORITY, ABOUT_AUTHORITY, String::shape()),
                key(GROUP, ABOUT_GROUP, String::shape()),
                key(PersonName::PLACEHOLDER, "One person.", Person::shape()),
            ],
        })
    }

    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(value, "a table");
            return None;
        };
        let mut people = Self { authority: None, group: None, by_name: Named::new() };
        for (key, value) in table {
            let name: &str = key.get_ref();
            reader.inside(name, Some(key.span()), |reader| match name {
                AUTHORITY => people.authority = text(value, reader),
                GROUP => people.group = text(value, reader),
                _ => people.by_name.extend(read_entry(name, key.span(), value, reader)),
            });
        }
        Some(people)
    }
}

fn text(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<At<String>> {
    let place = reader.place();
    Some(At { value: String::read(value, reader)?, place, span: Some(value.span()) })
}
