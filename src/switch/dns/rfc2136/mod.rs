//! A zone that takes dynamic updates (RFC 2136) signed by a shared key (TSIG): BIND, Knot, PowerDNS.
//!
//! A change is one message: the server compares what has to stand there, and replaces it, in one step. Everything goes over
//! TCP, to the primary alone: answers may be large, and of a message that was sent over TCP one knows whether it left.
//!
//! All three compare before they change, one update at a time. PowerDNS differs in what it reads: it keeps for 20 s what its
//! database said (`query-cache-ttl`), and forgets it only for changes that it makes itself. So a change by another server
//! over the same database is read late; it is compared at once all the same, and makes the change stale. Where several share
//! a database, `query-cache-ttl=0`, and `switch.rfc2136.server` is one of them, always the same.
//!
//! Records that a wildcard stands in for are read as if they stood at the name, and compared as if they did not: a change
//! there is always stale.

mod beside;
mod doctor;
mod key;
pub(super) mod link;
pub(super) mod problem;
pub(super) mod records;
mod talk;
mod update;

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use self::key::Key;
use self::problem::Asked;
use self::update::Cuts;
use crate::inventory::provider::Rfc2136 as Settings;
use crate::switch::Finding;
use crate::switch::api::ApiError;
use crate::switch::dns::{RecordSet, Replace, Zone};

/// Most bytes of one text. An update holds each text twice (what stands there and what comes) and a message at most 65,535
/// bytes, and those who only read DNS over UDP get the first 1,232 of an answer; so several texts of this length fit, and
/// no server's store (PowerDNS keeps a record in one column) is near its end.
const LONGEST_TEXT: usize = 4000;
/// Most bytes of a value that a message shows.
const SHOWN: usize = 60;
/// The port of DNS.
const PORT: u16 = 53;

/// One zone of a server that takes updates.
pub struct Rfc2136 {
    /// `host:port`.
    server: String,
    zone: Name,
    zone_text: String,
    key: Key,
    key_text: String,
    /// How the TXT records that were read are cut, where it is not as pointsman does.
    cuts: Mutex<Cuts>,
}

impl fmt::Debug for Rfc2136 {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Rfc2136({}, {}, {})",
            self.server, self.zone_text, self.key_text
        )
    }
}

impl Rfc2136 {
    /// Reads the settings; touches no network.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where server, key or secret is missing, the secret is no base64, or the zone is no name. The
    /// secret is never shown.
    pub fn new(settings: &Settings, zone: &str) -> Result<Rfc2136, ApiError> {
        let server = settings
            .server
            .as_deref()
            .filter(|server| !server.is_empty())
            .ok_or_else(|| ApiError::Refused {
                problem: "`switch.rfc2136.server` is not given".to_owned(),
                hint: format!("give the primary of `{zone}`, as `host` or `host:port`"),
            })?;
        let key = Key::new(settings)?;
        let zone = records::name(zone).map_err(|problem| ApiError::Refused {
            problem,
            hint: "give the zone as `example.com`".to_owned(),
        })?;
        Ok(Rfc2136 {
            server: with_port(server),
            zone_text: records::text(&zone),
            zone,
            key_text: key.words(),
            key,
            cuts: Mutex::default(),
        })
    }

    /// The same with a clock that is wrong by this many seconds: to test what servers say of that.
    #[doc(hidden)]
    pub fn with_clock_off_by(mut self, seconds: i64) -> Rfc2136 {
        self.key.offset = seconds;
        self
    }

    /// The same without comparing anything: to show, in tests, what the comparison is for.
    ///
    /// # Errors
    /// As [`Zone::replace`], but never stale.
    #[doc(hidden)]
    pub async fn overwrite(&self, sets: &[Replace]) -> Result<(), ApiError> {
        let mut message = self.message(sets)?;
        message.answers.clear();
        self.send(message, "anything").await.map(drop)
    }

    /// Whether the key may make a change, without making it: the change is sent under a condition that never holds. All of
    /// BIND 9.18, Knot and PowerDNS look at what the key may do before they compare anything; a server that compares first
    /// would say of every key that it may.
    ///
    /// # Errors
    /// As [`Zone::replace`], but never stale.
    pub async fn rehearse(&self, sets: &[Replace]) -> Result<(), ApiError> {
        let mut message = self.message(sets)?;
        message.answers = vec![update::absent(&self.zone, RecordType::SOA)];
        match self.send(message, "nothing").await {
            Err(ApiError::Stale { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(self.asked().in_doubt(
                "the server did what it was told to do only where the zone has no SOA: it compares nothing",
            )),
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            at: &self.server,
            zone: &self.zone_text,
            key: &self.key_text,
        }
    }

    /// A name of this zone.
    fn name(&self, text: &str) -> Result<Name, ApiError> {
        let hint = || format!("name something in `{}`", self.zone_text);
        let name = records::name(text).map_err(|problem| self.asked().refused(&problem, hint()))?;
        if self.zone.zone_of(&name) {
            Ok(name)
        } else {
            let problem = format!("`{text}` is not in the zone `{}`", self.zone_text);
            Err(self.asked().refused(&problem, hint()))
        }
    }

    /// The update for these sets.
    fn message(&self, sets: &[Replace]) -> Result<Message, ApiError> {
        for set in sets.iter().flat_map(|set| [&set.old, &set.new]).flatten() {
            self.name(&set.name)?;
        }
        let cuts = self.cuts.lock().unwrap_or_else(|broken| broken.into_inner());
        update::update(&self.zone, sets, &cuts).map_err(|problem| {
            self.asked()
                .refused(&problem, "see what the inventory says of it")
        })
    }

    /// Keeps how the TXT records at a name are cut.
    fn keep_cuts(&self, at: &Name, answer: &Message) {
        let name = records::text(at);
        let mut cuts = self.cuts.lock().unwrap_or_else(|broken| broken.into_inner());
        cuts.retain(|(other, _), _| *other != name);
        for strings in records::strings(answer, at) {
            if let Ok(text) = String::from_utf8(strings.concat()) {
                cuts.entry((name.clone(), text)).or_default().push(strings);
            }
        }
        cuts.retain(|(_, text), cut| *cut != [records::split(text)]);
    }
}

#[async_trait]
impl Zone for Rfc2136 {
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        let mut asked = Vec::new();
        for text in names {
            let name = self.name(text)?;
            for kind in records::KINDS {
                asked.push((name.clone(), kind));
            }
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let questions = asked.iter();
        let questions = questions.map(|(name, kind)| update::question(name, records::record_type(*kind)));
        let answers = self.ask(questions.collect()).await?;
        let mut sets = Vec::new();
        for ((name, kind), answer) in asked.iter().zip(&answers) {
            let what = format!("`{}` {kind}", records::text(name));
            self.asked().question(answer, &what)?;
            let set = records::set(&answer.message, name, *kind).map_err(|problem| {
                self.asked().refused(
                    &problem,
                    "another program wrote it: let pointsman have a name of its own",
                )
            })?;
            if *kind == super::Kind::Txt {
                self.keep_cuts(name, &answer.message);
            }
            sets.extend(set);
        }
        Ok(sets)
    }

    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError> {
        let message = self.message(sets)?;
        if message.answers.is_empty() {
            return Ok(());
        }
        if let Some(error) = self.in_the_way(sets).await {
            return Err(error);
        }
        self.send(message, &expected(sets)).await.map(drop)
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::look(self).await
    }

    async fn doctor_flip(&self, change: &[Replace]) -> Vec<Finding> {
        doctor::flip(self, change).await
    }
}

/// What has to stand there, for people.
fn expected(sets: &[Replace]) -> String {
    let words = sets.iter().filter_map(|set| match (&set.old, &set.new) {
        (Some(old), _) => Some(format!(
            "`{}` {} {}",
            old.name,
            old.kind,
            shown(&old.values.join(", "))
        )),
        (None, Some(new)) => Some(format!("no `{}` {}", new.name, new.kind)),
        (None, None) => None,
    });
    words.collect::<Vec<_>>().join("; ")
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}… ({} bytes)", text.len())
}

/// `host:port`, with the port of DNS unless there is one.
fn with_port(server: &str) -> String {
    let has_port = match server.rsplit_once(':') {
        None => false,
        // An IPv6 address has colons of its own, and stands in brackets where a port follows.
        Some((host, port)) => {
            (host.ends_with(']') || !host.contains(':')) && port.bytes().all(|byte| byte.is_ascii_digit())
        }
    };
    if has_port {
        server.to_owned()
    } else if server.contains(':') && !server.starts_with('[') {
        format!("[{server}]:{PORT}")
    } else {
        format!("{server}:{PORT}")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::inventory::provider::Hmac;
    use crate::switch::dns::Kind;

    fn settings() -> Settings {
        Settings {
            server: Some("ns1.example.com".to_owned()),
            key: Some("pointsman.example.com".to_owned()),
            algorithm: Hmac::HmacSha256,
            secret: Some(SecretString::from("c2VjcmV0IHNlY3JldA==".to_owned())),
        }
    }

    #[test]
    fn a_port_is_added_where_there_is_none() {
        for (given, whole) in [
            ("ns1.example.com", "ns1.example.com:53"),
            ("ns1.example.com:5353", "ns1.example.com:5353"),
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(with_port(given), whole);
        }
    }

    #[test]
    fn what_is_missing_is_named_and_the_secret_never_shown() {
        let good = Rfc2136::new(&settings(), "Example.com.").unwrap();
        assert_eq!(
            format!("{good:?}"),
            "Rfc2136(ns1.example.com:53, example.com, `pointsman.example.com` (hmac-sha256))"
        );
        let without = |change: fn(&mut Settings)| {
            let mut settings = settings();
            change(&mut settings);
            Rfc2136::new(&settings, "example.com").unwrap_err()
        };
        for (error, word) in [
            (without(|settings| settings.server = None), "server"),
            (without(|settings| settings.key = None), "key"),
            (without(|settings| settings.secret = None), "secret"),
            (
                without(|settings| settings.secret = Some(SecretString::from("no base64!".to_owned()))),
                "base64",
            ),
        ] {
            assert!(matches!(error, ApiError::Refused { .. }));
            assert!(error.to_string().contains(word), "{error}");
            assert!(!format!("{error:?}").contains("no base64!"), "{error:?}");
            assert!(error.hint().is_some());
        }
        assert!(Rfc2136::new(&settings(), "a..b").is_err());
    }

    #[tokio::test]
    async fn what_is_not_in_the_zone_is_refused_before_anything_is_sent() {
        let zone = Rfc2136::new(&settings(), "example.com").unwrap();
        let error = zone.read(&["www.example.org"]).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        let set = RecordSet {
            name: "www.example.com".to_owned(),
            kind: Kind::A,
            ttl: 5,
            values: vec!["2001:db8::1".to_owned()],
            share: None,
        };
        let replace = Replace {
            old: None,
            new: Some(set),
        };
        let error = zone.replace(&[replace]).await.unwrap_err();
        assert!(error.to_string().contains("IPv4"), "{error}");
    }

    #[test]
    fn long_values_are_shown_in_part() {
        assert_eq!(shown("short"), "short");
        assert!(shown(&"ü".repeat(80)).ends_with("ü… (160 bytes)"));
        assert!(shown(&"x".repeat(3000)).len() < 100);
    }
}
