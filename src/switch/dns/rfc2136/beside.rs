//! A CNAME stands alone: what stands at a name where one would come.

use hickory_proto::rr::RecordType;

use super::{Rfc2136, records, update};
use crate::switch::api::ApiError;
use crate::switch::dns::{Kind, RecordSet, Replace};

/// What is no obstacle to a CNAME: what goes in the same change or was written in between, and what signs it (RFC 4034).
const NOT_IN_THE_WAY: [RecordType; 6] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::NSEC3,
];

impl Rfc2136 {
    /// What stands where a CNAME would come that has to stand alone, as a refusal. The server does not name it: it says
    /// YXRRSET, as to somebody who comes late, and where the update does not compare the type BIND and Knot say that all is
    /// well, and leave the CNAME out. Nothing is found where the questions are not answered: the update's own comparison
    /// decides then.
    pub(super) async fn in_the_way(&self, sets: &[Replace]) -> Option<ApiError> {
        let some = |set: &&RecordSet| !set.values.is_empty();
        let comes = |replace: &&Replace| replace.old.as_ref().filter(some).is_none();
        let new = sets
            .iter()
            .filter(comes)
            .filter_map(|replace| replace.new.as_ref());
        for set in new.filter(some).filter(|set| set.kind == Kind::Cname) {
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
}
