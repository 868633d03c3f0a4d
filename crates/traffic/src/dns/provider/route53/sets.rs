//! Route 53's XML: what it tells, and a batch of changes. A set of records is kept as it was
//! written, because deleting takes it exactly so, with whatever somebody else gave it.

use crate::dns::{Wanted, note};
use quick_xml::de::from_str;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;
use serde::Deserialize;
use std::fmt::Write;
use std::net::IpAddr;

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// Before the site's name in the identifier of a set that is one site's share.
const OURS: &str = "mainstay-";
/// Of a message, what people are shown. What follows the first line of a wrong signature's is the
/// whole request, with its session token.
const LONGEST_MESSAGE: usize = 300;

/// A resource record set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Set {
    name: String,
    #[serde(rename = "Type")]
    pub kind: String,
    set_identifier: Option<String>,
    weight: Option<u8>,
    #[serde(rename = "TTL")]
    pub ttl: Option<u32>,
    #[serde(default)]
    resource_records: Records,
    health_check_id: Option<String>,
    /// As it was written; of one that is wanted, as it will be.
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Records {
    #[serde(default)]
    resource_record: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    value: String,
}

impl Set {
    /// Names come in small letters, with a dot at their end.
    pub fn is_of(&self, name: &str) -> bool {
        self.name.trim_end_matches('.') == name
    }

    /// Whether it says where the name leads.
    pub fn leads(&self) -> bool {
        ["A", "AAAA", "CNAME"].contains(&self.kind.as_str())
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.values().filter_map(|value| value.parse().ok())
    }

    /// What TXT records say. Route 53 has them in quotes, cut at 255 characters.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.values().map(|value| value.trim_matches('"').replace("\" \"", ""))
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.resource_records.resource_record.iter().map(|record| record.value.as_str())
    }

    /// The sets that the name should have: one of each kind, or one of each site's share.
    pub fn wanted(wanted: &Wanted) -> Vec<Self> {
        let mut sets = Vec::new();
        for kind in ["A", "AAAA"] {
            let fits = |address: &&IpAddr| (kind == "A") == address.is_ipv4();
            let values = |of: &std::collections::BTreeSet<IpAddr>| -> Vec<String> {
                of.iter().filter(fits).map(ToString::to_string).collect()
            };
            if wanted.shares.is_empty() {
                sets.push(Self::new(&wanted.name, kind, wanted, values(&wanted.addresses)));
                continue;
            }
            let shares = wanted.shares.iter().map(|share| (share, values(&share.addresses)));
            let shares: Vec<_> = shares.filter(|(_, values)| !values.is_empty()).collect();
            // Only sets of weight 0 would be answered with all the same.
            if shares.iter().all(|(share, _)| share.weight == 0) {
                continue;
            }
            sets.extend(shares.into_iter().map(|(share, values)| Self {
                set_identifier: Some(format!("{OURS}{}", share.site)),
                weight: Some(share.weight),
                health_check_id: share.health_check.clone(),
                ..Self::new(&wanted.name, kind, wanted, values)
            }));
        }
        sets.retain(|set| !set.resource_records.resource_record.is_empty());
        sets.into_iter().map(Self::written).collect()
    }

    pub fn note(wanted: &Wanted) -> Self {
        let name = note::name(&wanted.name);
        Self::new(&name, "TXT", wanted, vec![format!("\"{}\"", wanted.note)]).written()
    }

    fn new(name: &str, kind: &str, wanted: &Wanted, values: Vec<String>) -> Self {
        let records = values.into_iter().map(|value| Value { value }).collect();
        Self {
            name: format!("{name}."),
            kind: kind.to_owned(),
            set_identifier: None,
            weight: None,
            ttl: Some(u32::try_from(wanted.ttl.as_secs()).unwrap_or(u32::MAX)),
            resource_records: Records { resource_record: records },
            health_check_id: None,
            text: String::new(),
        }
    }

    /// Its elements in the order of the API's schema.
    fn written(mut self) -> Self {
        let mut text = String::from("<ResourceRecordSet>");
        element(&mut text, "Name", Some(&self.name));
        element(&mut text, "Type", Some(&self.kind));
        element(&mut text, "SetIdentifier", self.set_identifier.as_deref());
        element(&mut text, "Weight", self.weight.map(|it| it.to_string()).as_deref());
        element(&mut text, "TTL", self.ttl.map(|it| it.to_string()).as_deref());
        text += "<ResourceRecords>";
        for value in self.values() {
            text += "<ResourceRecord>";
            element(&mut text, "Value", Some(value));
            text += "</ResourceRecord>";
        }
        text += "</ResourceRecords>";
        element(&mut text, "HealthCheckId", self.health_check_id.as_deref());
        self.text = text + "</ResourceRecordSet>";
        self
    }

    /// Whether it answers the same, and has nothing besides: of what stands there, and of what is
    /// wanted.
    pub fn same(&self, wanted: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut values: Vec<String> = set.values().map(str::to_owned).collect();
            values.sort();
            values
        };
        let plain = |set: &Self| Self {
            resource_records: Records::default(),
            text: String::new(),
            ..set.clone()
        };
        let others = ["Region", "Failover", "GeoLocation", "MultiValueAnswer", "AliasTarget"];
        let more = others.iter().any(|other| self.text.contains(&format!("<{other}>")));
        plain(self) == plain(wanted) && sorted(self) == sorted(wanted) && !more
    }
}

fn element(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        // Writing to a string does not fail.
        let _ = write!(text, "<{name}>{}</{name}>", escape(value));
    }
}

/// Deletions first: a name has one set of a kind at a time.
pub fn batch<'a>(old: impl Iterator<Item = &'a Set>, new: &[Set]) -> String {
    let change =
        |action: &str, set: &Set| format!("<Change><Action>{action}</Action>{}</Change>", set.text);
    let deleted: String = old.map(|set| change("DELETE", set)).collect();
    let created: String = new.iter().map(|set| change("CREATE", set)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest \
         xmlns=\"{NAMESPACE}\"><ChangeBatch><Comment>mainstay</Comment><Changes>{deleted}{created}\
         </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    )
}

/// A page of a list, and where the next begins.
pub struct Page {
    pub sets: Vec<Set>,
    pub next: Option<Next>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Next {
    is_truncated: bool,
    next_record_name: Option<String>,
    next_record_type: Option<String>,
    next_record_identifier: Option<String>,
}

impl Next {
    pub fn is_of(&self, name: &str) -> bool {
        self.next_record_name.as_deref().is_some_and(|next| next.trim_end_matches('.') == name)
    }

    pub fn query(&self) -> String {
        let mut query = format!("name={}", self.next_record_name.as_deref().unwrap_or_default());
        if let Some(kind) = &self.next_record_type {
            query += &format!("&type={kind}");
        }
        if let Some(identifier) = &self.next_record_identifier {
            query += &format!("&identifier={}", percent(identifier));
        }
        query
    }
}

/// RFC 3986, section 2: all but the unreserved characters.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

pub fn page(xml: &str) -> Result<Page, String> {
    let next: Next = from_str(xml).map_err(|why| why.to_string())?;
    let sets = slices(xml, "ResourceRecordSet")?.into_iter().map(|text| {
        let set: Set = from_str(text).map_err(|why| why.to_string())?;
        // In older answers aliases have an empty list, which requests may not.
        let text = text.replace("<ResourceRecords/>", "");
        Ok(Set { text, name: unescaped(&set.name), ..set })
    });
    let sets = sets.collect::<Result<_, String>>()?;
    Ok(Page { sets, next: next.is_truncated.then_some(next) })
}

/// `\052` for an asterisk, as lists write it.
fn unescaped(name: &str) -> String {
    name.replace("\\052", "*")
}

/// Every element of that name, as it is written.
fn slices<'a>(xml: &'a str, name: &str) -> Result<Vec<&'a str>, String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut found = Vec::new();
    loop {
        let begin = usize::try_from(reader.buffer_position()).map_err(|why| why.to_string())?;
        match reader.read_event().map_err(|why| why.to_string())? {
            Event::Eof => return Ok(found),
            Event::Start(start) if start.name().as_ref() == name => {
                reader.read_to_end(start.name()).map_err(|why| why.to_string())?;
                let end = usize::try_from(reader.buffer_position()).unwrap_or(xml.len());
                found.push(xml.get(begin..end).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// The text of each element of that name.
fn texts(xml: &str, name: &str) -> Result<Vec<String>, String> {
    let inner = |slice: &str| {
        let begin = slice.find('>')? + 1;
        let text = slice.get(begin..slice.rfind("</")?)?;
        Some(unescape(text).ok()?.into_owned())
    };
    Ok(slices(xml, name)?.into_iter().filter_map(inner).collect())
}

/// The ids of the public zones of that name.
pub fn zones(xml: &str, zone: &str) -> Result<Vec<String>, String> {
    let one = |slice: &&str| {
        let text = |name| texts(slice, name).ok()?.into_iter().next();
        let is = text("Name")?.trim_end_matches('.') == zone;
        let private = text("PrivateZone").is_some_and(|it| it == "true");
        (is && !private).then(|| text("Id"))?
    };
    let ids = slices(xml, "HostedZone")?;
    Ok(ids.iter().filter_map(one).map(|id| id.replace("/hostedzone/", "")).collect())
}

/// The servers that the zone is delegated to.
pub fn servers(xml: &str) -> Result<Vec<String>, String> {
    let names = texts(xml, "NameServer")?;
    Ok(names.iter().map(|name| format!("{}:53", name.trim_end_matches('.'))).collect())
}

/// Code and message, in either of the two forms in which errors come.
pub fn error(xml: &str) -> (String, String) {
    let first = |name| texts(xml, name).ok().and_then(|found| found.into_iter().next());
    let code = first("Code").unwrap_or_else(|| match xml.contains("<InvalidChangeBatch") {
        true => "InvalidChangeBatch".to_owned(),
        false => "an answer without a code".to_owned(),
    });
    let message = first("Message").unwrap_or_default();
    let line = message.lines().next().unwrap_or_default();
    (code, line.chars().take(LONGEST_MESSAGE).collect())
}

/// Whether a batch was refused because something else stands there than was seen.
pub fn was_changed(why: &str) -> bool {
    let said = ["it was not found", "do not match the current values", "it already exists"];
    why.contains("InvalidChangeBatch") && said.iter().any(|words| why.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of the API reference, "ListResourceRecordSets".
    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
   <ResourceRecordSets>
      <ResourceRecordSet>
         <Name>www.example.org.</Name><Type>A</Type><SetIdentifier>a &amp; b</SetIdentifier>
         <Region>us-east-1</Region><TTL>300</TTL>
         <ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord>
         <ResourceRecord><Value>192.0.2.2</Value></ResourceRecord></ResourceRecords>
      </ResourceRecordSet>
      <ResourceRecordSet>
         <Name>www.example.org.</Name><Type>AAAA</Type>
         <AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>lb.example.net.</DNSName>
         <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>
      </ResourceRecordSet>
   </ResourceRecordSets>
   <IsTruncated>true</IsTruncated><MaxItems>2</MaxItems>
   <NextRecordName>www.example.org.</NextRecordName><NextRecordType>AAAA</NextRecordType>
   <NextRecordIdentifier>c/d</NextRecordIdentifier>
</ListResourceRecordSetsResponse>"#;

    #[test]
    fn a_page_is_read_and_says_where_the_next_begins() {
        let page = page(PAGE).unwrap();
        let next = page.next.unwrap();
        assert!(next.is_of("www.example.org"));
        assert_eq!(next.query(), "name=www.example.org.&type=AAAA&identifier=c%2Fd");
        let [regional, alias] = &*page.sets else { panic!("{:?}", page.sets) };
        assert_eq!(regional.addresses().count(), 2);
        assert_eq!((alias.ttl, alias.addresses().count()), (None, 0));
    }

    /// What somebody else gave a set has to stand in its deletion too.
    #[test]
    fn a_set_is_deleted_as_the_bytes_that_it_was_read_as() {
        let page = page(PAGE).unwrap();
        let batch = batch(page.sets.iter(), &[]);
        assert!(batch.contains("<Action>DELETE</Action><ResourceRecordSet>"));
        assert!(batch.contains("<SetIdentifier>a &amp; b</SetIdentifier>"));
        assert!(batch.contains("<Region>us-east-1</Region><TTL>300</TTL>"));
        assert!(batch.contains("<EvaluateTargetHealth>false</EvaluateTargetHealth>"));
        assert_eq!(slices(&batch, "ResourceRecordSet").unwrap().len(), 2);
    }

    #[test]
    fn errors_are_read_in_both_forms_and_show_one_line() {
        let both = [
            (
                "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>\
                 <Message>It does not match.\n\nThe Canonical String: x-amz-security-token:canary\
                 </Message></Error></ErrorResponse>",
                ("SignatureDoesNotMatch", "It does not match."),
            ),
            (
                "<InvalidChangeBatch><Messages><Message>Tried to delete resource record set \
                 [name='a.', type='A'] but it was not found</Message></Messages>\
                 </InvalidChangeBatch>",
                (
                    "InvalidChangeBatch",
                    "Tried to delete resource record set [name='a.', type='A'] but it was not found",
                ),
            ),
        ];
        for (xml, (code, message)) in both {
            assert_eq!(error(xml), (code.to_owned(), message.to_owned()));
        }
        let (code, message) = error(both[1].0);
        assert!(was_changed(&format!("{code}: {message}")));
        assert!(!was_changed("InvalidChangeBatch: The zone has too many records"));
    }
}
