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

mod doctor;
mod key;
pub(super) mod link;
pub(super) mod problem;
pub(super) mod records;
mod update;

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::time::timeout;

use self::key::{Answer, Key, Signed};
use self::link::Link;
use self::problem::Asked;
use self::update::Cuts;
use crate::inventory::provider::Rfc2136 as Settings;
use crate::switch::Finding;
use crate::switch::api::ApiError;
use crate::switch::dns::{RecordSet, Replace, Zone};

/// Longest that the answers may take: a server that takes updates answers within milliseconds, and one that writes to a
/// disk that hangs, or passes an update on to another, is better told than waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// Most bytes of one text. An update holds each text twice (what stands there and what comes) and a message at most 65,535
/// bytes, and those who only read DNS over UDP get the first 1,232 of an answer; so several texts of this length fit, and
/// no server's store (PowerDNS keeps a record in one column) is near its end.
const LONGEST_TEXT: usize = 4000;
/// Most bytes of a value that a message shows.
const SHOWN: usize = 60;
/// What is no obstacle to a CNAME: what goes in the same change or was written in between, and what signs it (RFC 4034).
const NOT_IN_THE_WAY: [RecordType; 6] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::NSEC3,
];
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

    /// What stands where a CNAME would come that has to stand alone, as a refusal. The server does not name it: it says
    /// YXRRSET, as to somebody who comes late, and where the update does not compare the type BIND and Knot say that all is
    /// well, and leave the CNAME out. Nothing is found where the questions are not answered: the update's own comparison
    /// decides then.
    async fn in_the_way(&self, sets: &[Replace]) -> Option<ApiError> {
        let some = |set: &&RecordSet| !set.values.is_empty();
        let comes = |replace: &&Replace| replace.old.as_ref().filter(some).is_none();
        let new = sets
            .iter()
            .filter(comes)
            .filter_map(|replace| replace.new.as_ref());
        for set in new.filter(some).filter(|set| set.kind == super::Kind::Cname) {
            let found = self.beside(&set.name).await.ok()?;
            if !found.is_empty() {
                return Some(self.asked().refused(
                    &format!(
                        "expected nothing beside the CNAME that `{}` is to have, as a CNAME stands alone, found {}; nothing was \
                         changed",
                        set.name,
                        found.join(", ")
                    ),
                    format!(
                        "give both pools addresses instead of a name (`switch.dns.blue`, `switch.dns.green`), or take those \
                         records of `{}` away",
                        set.name
                    ),
                ));
            }
        }
        None
    }

    /// The types at a name that cannot stand beside a CNAME.
    async fn beside(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let name = self.name(name)?;
        // Knot answers ANY with one set of several (RFC 8482), so those that are common are asked for one by one.
        let kinds = [RecordType::ANY].into_iter().chain(update::BESIDE_A_CNAME);
        let questions = kinds.map(|kind| update::question(&name, kind)).collect();
        let mut found = Vec::new();
        for answer in self.ask(questions).await? {
            let what = format!("what stands at `{}`", records::text(&name));
            self.asked().question(&answer, &what)?;
            let there = answer.message.answers.iter().filter(|record| record.name == name);
            let kinds = there.map(|record| record.record_type());
            found.extend(
                kinds
                    .filter(|kind| !NOT_IN_THE_WAY.contains(kind))
                    .map(|kind| match kind {
                        // As RFC 3597 has it.
                        RecordType::Unknown(code) => format!("TYPE{code}"),
                        kind => kind.to_string(),
                    }),
            );
        }
        found.sort();
        found.dedup();
        Ok(found)
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

    fn sign(&self, message: Message) -> Result<Signed, ApiError> {
        let too_long = |problem: &str| self.asked().refused(problem, "change less at once");
        let signed = self.key.sign(message).map_err(|problem| too_long(&problem))?;
        if signed.bytes.len() > usize::from(u16::MAX) {
            return Err(too_long(&format!(
                "the update has {} bytes, and a message holds {}",
                signed.bytes.len(),
                u16::MAX
            )));
        }
        Ok(signed)
    }

    async fn link(&self) -> Result<Link, ApiError> {
        let link = Link::open(&self.server).await;
        link.map_err(|problem| self.asked().unreachable(&problem))
    }

    /// Sends messages. An error says that none was sent as a whole.
    async fn tell(&self, link: &mut Link, messages: &[&[u8]]) -> Result<(), ApiError> {
        match timeout(ANSWER, link.send(messages)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(self.asked().unreachable(&problem)),
            Err(_) => Err(self
                .asked()
                .unreachable(&format!("it took nothing within {} s", ANSWER.as_secs()))),
        }
    }

    /// Sends one update, and says what its answer means.
    async fn send(&self, message: Message, expected: &str) -> Result<Answer, ApiError> {
        let asked = self.asked();
        let signed = self.sign(message)?;
        let mut link = self.link().await?;
        self.tell(&mut link, &[&signed.bytes]).await?;
        // From here on it may have been done.
        let bytes = match timeout(ANSWER, link.receive()).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(problem)) => return Err(asked.in_doubt(&format!("no answer came: {problem}"))),
            Err(_) => {
                return Err(asked.in_doubt(&format!("no answer came within {} s", ANSWER.as_secs())));
            }
        };
        let answer = self
            .key
            .read(&bytes, &signed)
            .map_err(|problem| asked.in_doubt(&format!("the answer cannot be used: {problem}")))?;
        asked.update(&answer, expected)?;
        Ok(answer)
    }

    /// Asks all of these at once over one connection; the answers in the order of the questions.
    async fn ask(&self, questions: Vec<Message>) -> Result<Vec<Answer>, ApiError> {
        let asked = self.asked();
        let mut signed: Vec<Signed> = Vec::new();
        for mut question in questions {
            // Answers may come in any order, and are told apart by their ids.
            while signed.iter().any(|other| other.id == question.id) {
                question.metadata.id = question.metadata.id.wrapping_add(1);
            }
            signed.push(self.sign(question)?);
        }
        let mut link = self.link().await?;
        let bytes: Vec<&[u8]> = signed.iter().map(|one| one.bytes.as_slice()).collect();
        self.tell(&mut link, &bytes).await?;
        let mut answers: Vec<Option<Answer>> = signed.iter().map(|_| None).collect();
        let all = async {
            while answers.iter().any(Option::is_none) {
                let bytes = link.receive().await?;
                let id = bytes.get(..2).map(|id| u16::from_be_bytes([id[0], id[1]]));
                let Some(number) = signed.iter().position(|one| Some(one.id) == id) else {
                    return Err("an answer belongs to no question".to_owned());
                };
                answers[number] = Some(self.key.read(&bytes, &signed[number])?);
            }
            Ok(())
        };
        match timeout(ANSWER, all).await {
            Ok(Ok(())) => Ok(answers.into_iter().flatten().collect()),
            Ok(Err(problem)) => Err(asked.unreachable(&format!("no good answer came: {problem}"))),
            Err(_) => Err(asked.unreachable(&format!("no answer came within {} s", ANSWER.as_secs()))),
        }
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
