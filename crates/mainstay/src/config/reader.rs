//! Reads the parsed TOML into typed structs and gathers every problem on the way, instead of
//! stopping at the first as serde must. One definition of a table (see [`table!`]) gives the
//! struct, its reading, the nearest known key for a typo, and the reference in `docs/`.

use super::nearest::nearest;
use super::problem::{Problem, code};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A value with the place where it was written.
#[derive(Debug, Clone)]
pub struct At<T> {
    pub value: T,
    pub place: String,
    pub span: Option<Range<usize>>,
}

impl<T> At<T> {
    /// Moves a problem to where this value was written.
    pub fn blame(&self, problem: Problem) -> Problem {
        problem.place(self.place.clone()).span(self.span.clone())
    }
}

/// What can stand in the file.
pub trait Read: Sized {
    fn shape() -> Shape;
    /// None after a problem was reported.
    fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader) -> Option<Self>;
}

/// The form of what can stand in the file, for the reference and for error messages.
pub enum Shape {
    /// In words: `a duration such as "10s"`.
    Value(String),
    Table(Table),
    /// Tables one after the other.
    List(Box<Shape>),
    /// Tables or values under names that the person chooses.
    Names {
        placeholder: &'static str,
        of: Box<Shape>,
    },
}

pub struct Table {
    pub about: &'static str,
    pub keys: Vec<Key>,
}

pub struct Key {
    pub name: String,
    pub about: &'static str,
    pub need: Need,
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy)]
pub enum Need {
    Required,
    Optional,
    /// TOML text of the value that stands when nothing is written.
    Default(&'static str),
}

/// A table that is being read, and the keys that can stand in it.
pub struct Fields<'a, 'i> {
    table: &'a DeTable<'i>,
    keys: &'a [String],
}

type Field<'a, 'i> = (&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>);

impl<'a, 'i> Fields<'a, 'i> {
    fn unknown(&self) -> impl Iterator<Item = Field<'a, 'i>> + use<'a, 'i> {
        let keys = self.keys;
        self.table.iter().filter(move |(key, _)| !keys.iter().any(|known| known == key.get_ref()))
    }

    /// A typo was reported; what stands behind it is read as what was meant, so that the rest of
    /// the file is judged as the person sees it.
    fn find(&self, key: &str) -> Option<Field<'a, 'i>> {
        let exact = self.table.iter().find(|(name, _)| name.get_ref() == key);
        let meant = |(name, _): &Field<'_, '_>| nearest(name.get_ref(), self.keys) == Some(key);
        exact.or_else(|| self.unknown().find(meant))
    }
}

#[derive(Default)]
pub struct Reader {
    path: Vec<(String, Option<Range<usize>>)>,
    pub problems: Vec<Problem>,
    /// Whether a name was refused: then what refers to it cannot be judged.
    pub names_refused: bool,
}

impl Reader {
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn place(&self) -> String {
        self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// Reports at the value being read.
    pub fn report_here(&mut self, span: Range<usize>, problem: Problem) {
        let place = self.place();
        self.report(problem.place(place).span(span));
    }

    pub fn inside<T>(
        &mut self,
        name: &str,
        span: Option<Range<usize>>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.path.push((name.to_owned(), span));
        let result = read(self);
        self.path.pop();
        result
    }

    pub fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        let what = format!("{} cannot be {}", self.place(), article(found));
        let problem = Problem::error(code::WRONG_TYPE, what, format!("write {expected}"))
            .label(format!("this is {}", article(found)));
        self.report_here(value.span(), problem);
    }

    /// The value as a table all of whose keys are known; unknown ones are reported.
    pub fn table<'a, 'i>(
        &mut self,
        value: &'a Spanned<DeValue<'i>>,
        keys: &'a [String],
    ) -> Option<Fields<'a, 'i>> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, "a table");
            return None;
        };
        let fields = Fields { table, keys };
        for (key, value) in fields.unknown() {
            self.unknown_key(key.get_ref(), key.span(), value, keys);
        }
        Some(fields)
    }

    fn unknown_key(
        &mut self,
        key: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        keys: &[String],
    ) {
        let place = if self.path.is_empty() { "the file".to_owned() } else { self.place() };
        let kind = if value.get_ref().is_table() { "table" } else { "key" };
        let what = format!("there is no {kind} `{key}` in {place}");
        let list = keys.join(", ");
        let (label, advice) = match nearest(key, keys) {
            Some(known) => {
                (format!("did you mean `{known}`?"), format!("write `{known}`; known here: {list}"))
            }
            None => ("not known here".to_owned(), format!("known here: {list}")),
        };
        let problem = Problem::error(code::UNKNOWN_KEY, what, advice).label(label);
        self.inside(key, Some(span.clone()), |reader| reader.report_here(span, problem));
    }

    /// One key of a table. None when it is absent or was reported.
    pub fn field<T: Read>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        need: Need,
    ) -> Option<At<T>> {
        match fields.find(key) {
            Some((name, value)) => self.inside(key, Some(name.span()), |reader| {
                let place = reader.place();
                let span = if value.get_ref().is_table() { name.span() } else { value.span() };
                let value = T::read(value, reader)?;
                Some(At { value, place, span: Some(span) })
            }),
            None => self.absent(key, need),
        }
    }

    fn absent<T: Read>(&mut self, key: &str, need: Need) -> Option<At<T>> {
        match need {
            Need::Optional => None,
            Need::Default(text) => self.default_value(key, text),
            Need::Required => {
                self.missing(key, &T::shape());
                None
            }
        }
    }

    /// A default stands where its table stands.
    fn default_value<T: Read>(&mut self, key: &str, text: &str) -> Option<At<T>> {
        let span = self.path.last().and_then(|(_, span)| span.clone());
        let value = DeValue::parse(text).ok()?;
        self.inside(key, span.clone(), |reader| {
            let place = reader.place();
            Some(At { value: T::read(&value, reader)?, place, span })
        })
    }

    fn missing(&mut self, key: &str, shape: &Shape) {
        let span = self.path.last().and_then(|(_, span)| span.clone());
        let parent = self.place();
        let place = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
        let (what, advice) = match shape {
            Shape::Value(words) => (
                format!(
                    "`{key}` is missing in {}",
                    if parent.is_empty() { "the file" } else { &parent }
                ),
                format!("add `{key} = ...`: {words}"),
            ),
            _ => (
                format!("the table [{place}] is missing"),
                format!("add [{place}]; `mainstay config reference` shows what stands in it"),
            ),
        };
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        self.report(problem.label(format!("`{key}` is missing")).place(place).span(span));
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// `cool_down` in Rust is `cool-down` in the file.
pub fn key_name(field: &str) -> String {
    field.replace('_', "-")
}

/// Defines one table of the file: the doc comments become the reference.
macro_rules! table {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident : $type:ty = $need:expr;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: Option<$crate::config::reader::At<$type>>,)+
        }

        impl $crate::config::reader::Read for $name {
            fn shape() -> $crate::config::reader::Shape {
                use $crate::config::reader::{Key, Need::*, Shape, Table, key_name};
                Shape::Table(Table {
                    about: concat!($($about, "\n",)+),
                    keys: vec![$(Key {
                        name: key_name(stringify!($field)),
                        about: concat!($($doc, "\n",)+),
                        need: $need,
                        shape: <$type>::shape(),
                    },)+],
                })
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::reader::Reader,
            ) -> Option<Self> {
                use $crate::config::reader::{Need::*, key_name};
                let keys = [$(key_name(stringify!($field)),)+];
                let fields = reader.table(value, &keys)?;
                Some(Self {
                    $($field: reader.field(&fields, &key_name(stringify!($field)), $need),)+
                })
            }
        }
    };
}
pub(crate) use table;
