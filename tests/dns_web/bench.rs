//! What the suite needs of a provider, and sets written shortly.

use pointsman::inventory::provider::Token;
use pointsman::switch::api::ApiError;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone};
use secrecy::SecretString;

pub const ZONE: &str = "example.com";
pub const WWW: &str = "www.example.com";
pub const NOTE: &str = "_pointsman.www.example.com";
pub const TOKEN: &str = "s3cret-token";

/// A provider with the zone `example.com`, empty but for what it needs itself.
pub trait Bench {
    /// A client; `endpoint` is the provider's own unless given.
    fn client(&self, endpoint: Option<&str>, token: &str, zone: &str) -> Box<dyn Zone>;

    /// Whether a CNAME may take the place of addresses.
    fn changes_type(&self) -> bool;

    fn zone(&self) -> Box<dyn Zone> {
        self.client(None, TOKEN, ZONE)
    }
}

pub fn token(endpoint: &str, token: &str) -> Token {
    Token {
        token: Some(SecretString::from(token)),
        endpoint: Some(endpoint.to_owned()),
        server: "localhost".to_owned(),
    }
}

pub fn set(name: &str, kind: Kind, ttl: u32, values: &[&str]) -> RecordSet {
    RecordSet {
        name: name.to_owned(),
        kind,
        ttl,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        share: None,
    }
}

pub fn a(values: &[&str]) -> RecordSet {
    set(WWW, Kind::A, 60, values)
}

pub fn note(text: &str) -> RecordSet {
    set(NOTE, Kind::Txt, 60, &[text])
}

pub fn create(new: RecordSet) -> Replace {
    Replace {
        old: None,
        new: Some(new),
    }
}

pub fn remove(old: RecordSet) -> Replace {
    Replace {
        old: Some(old),
        new: None,
    }
}

pub fn change(old: RecordSet, new: RecordSet) -> Replace {
    Replace {
        old: Some(old),
        new: Some(new),
    }
}

/// What stands at both names, in a fixed order.
pub async fn stands(zone: &dyn Zone) -> Vec<RecordSet> {
    let mut found = zone.read(&[WWW, NOTE]).await.unwrap();
    found.sort_by(|one, other| (&one.name, one.kind).cmp(&(&other.name, other.kind)));
    found
}

/// An error with its hint; the token is never in it.
pub fn words(error: &ApiError) -> String {
    let all = format!("{error:?}");
    assert!(!all.contains(TOKEN) && !all.contains("s3cret"), "{all}");
    let kind = all.split([' ', '{']).next().unwrap_or_default();
    format!("{kind}: {error} [{}]", error.hint().unwrap_or_default())
}
