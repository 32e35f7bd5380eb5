//! What `doctor` looks at: the zone, the key, the clocks. It changes nothing.

use hickory_proto::rr::{RData, RecordType};

use super::problem::whose;
use super::{Rfc2136, update};
use crate::switch::Finding;
use crate::switch::api::ApiError;
use crate::switch::dns::Replace;

/// Seconds that the clocks may differ without a word: NTP keeps them within one, and at 300 nothing is taken any more.
const APART: u64 = 30;

/// Looks at everything.
pub(super) async fn look(zone: &Rfc2136) -> Vec<Finding> {
    let server = &zone.server;
    let mut findings = Vec::new();
    let ahead = match soa(zone).await {
        Ok((words, ahead)) => {
            findings.push(Finding::good(server, words));
            ahead
        }
        Err(error) => {
            findings.push(bad(server, &error));
            // What is wrong with the key or the way there is wrong for all that follows.
            return findings;
        }
    };
    findings.push(match key(zone).await {
        Ok(words) => Finding::good(server, words),
        Err(error) => bad(server, &error),
    });
    findings.extend(ahead.map(|ahead| clocks(server, ahead)));
    findings
}

/// The zone's SOA, and how far the server's clock is ahead, in seconds.
async fn soa(zone: &Rfc2136) -> Result<(String, Option<i64>), ApiError> {
    let what = format!("`{}` SOA", zone.zone_text);
    let answers = zone
        .ask(vec![update::question(&zone.zone, RecordType::SOA)])
        .await?;
    let Some(answer) = answers.first() else {
        return Err(zone.asked().unreachable("no answer came"));
    };
    zone.asked().question(answer, &what)?;
    let soa = answer
        .message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) if record.name == zone.zone => Some((record.ttl, soa.serial, soa.minimum)),
            _ => None,
        });
    let Some((ttl, serial, minimum)) = soa else {
        return Err(zone.asked().refused(
            &format!(
                "expected the zone `{}`, found no SOA of that name",
                zone.zone_text
            ),
            "let `switch.dns.zone` be a zone of this server, not a name within one",
        ));
    };
    let words = format!(
        "the zone `{}` is answered with authority: serial {serial}, and that a name is missing is kept for up to {} s",
        zone.zone_text,
        minimum.min(ttl)
    );
    Ok((words, answer.ahead))
}

/// An update that compares one thing that always holds and changes nothing: the server takes the key for updates. What the
/// key may change is looked at by BIND's `update-policy` only where something is changed: [`flip`].
async fn key(zone: &Rfc2136) -> Result<String, ApiError> {
    let mut message = update::empty(&zone.zone);
    message.add_answer(update::exists(&zone.zone, RecordType::SOA));
    zone.send(message, &format!("`{}` SOA", zone.zone_text)).await?;
    Ok(format!("key {} is taken for updates", zone.key_text))
}

/// Whether a flip would be taken: what the key may do, and what stands where a CNAME would have to stand alone.
pub(super) async fn flip(zone: &Rfc2136, change: &[Replace]) -> Vec<Finding> {
    let mut sets: Vec<String> = change
        .iter()
        .flat_map(|set| [&set.old, &set.new])
        .flatten()
        .map(|set| format!("`{}` {}", set.name, set.kind))
        .collect();
    sets.sort();
    sets.dedup();
    let mut findings = vec![match zone.rehearse(change).await {
        Ok(()) => Finding::good(
            &zone.server,
            format!("key {} may change {}", zone.key_text, sets.join(", ")),
        ),
        Err(error) => bad(&zone.server, &error),
    }];
    findings.extend(
        zone.in_the_way(change)
            .await
            .map(|error| bad(&zone.server, &error)),
    );
    findings
}

fn clocks(server: &str, ahead: i64) -> Finding {
    let apart = ahead.unsigned_abs();
    if apart <= APART {
        return Finding::good(server, format!("the clocks are {apart} s apart"));
    }
    Finding::bad(
        server,
        format!("the clocks are {apart} s apart, {}", whose(ahead)),
        "let NTP set the clocks of this machine and of the server; `timedatectl` says whether it does",
    )
}

fn bad(server: &str, error: &ApiError) -> Finding {
    Finding::bad(server, error.to_string(), error.hint().unwrap_or_default())
}
