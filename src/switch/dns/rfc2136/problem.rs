//! What a name server's answers mean: done, stale, refused (and what cures it), or in doubt.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigError;

use super::key::{Answer, FUDGE};
use crate::switch::api::ApiError;

/// What to do about a server that does not answer.
const LOOK: &str = "see that `switch.rfc2136.server` names the zone's primary, that it runs, and that TCP to its port is let \
                    through";

/// Whom was asked, with which key, about which zone; for people.
pub(super) struct Asked<'a> {
    /// `host:port`.
    pub(super) at: &'a str,
    /// The zone's name.
    pub(super) zone: &'a str,
    /// The key's name and algorithm.
    pub(super) key: &'a str,
}

impl Asked<'_> {
    /// It could not be asked, or a question, which changes nothing, was not answered.
    pub(super) fn unreachable(&self, problem: &str) -> ApiError {
        ApiError::Unreachable {
            problem: format!("{}: {problem}", self.at),
            hint: LOOK.to_owned(),
        }
    }

    /// An update was sent, and what came does not say whether it was done.
    pub(super) fn in_doubt(&self, problem: &str) -> ApiError {
        ApiError::InDoubt {
            problem: format!(
                "{}: the update of `{}` was sent, but {problem}; the server's log says what became of it",
                self.at, self.zone
            ),
        }
    }

    /// It said no.
    pub(super) fn refused(&self, problem: &str, hint: impl Into<String>) -> ApiError {
        ApiError::Refused {
            problem: format!("{}: {problem}", self.at),
            hint: hint.into(),
        }
    }

    /// What the answer to an update means. `expected` are the sets that had to stand there, for people.
    ///
    /// A "no" to the key, the zone or the message is believed unsigned, because a server that cannot use the key cannot
    /// sign. Whatever it says after it took the key has to be signed: a forger could say it as well.
    pub(super) fn update(&self, answer: &Answer, expected: &str) -> Result<(), ApiError> {
        if let Some(refusal) = self.refusal(answer) {
            return Err(refusal);
        }
        let code = answer.message.response_code;
        if code == ResponseCode::ServFail {
            return Err(self.in_doubt("it failed (SERVFAIL), which does not tell whether it had been done"));
        }
        if !answer.proven {
            return Err(self.in_doubt(&format!(
                "the answer ({}) is not signed with key {}",
                name(code),
                self.key
            )));
        }
        let stale = |what: &str| {
            Err(ApiError::Stale {
                problem: format!(
                    "{}: expected {expected}, found {what} ({}); nothing was changed",
                    self.at,
                    name(code)
                ),
            })
        };
        match code {
            ResponseCode::NoError => Ok(()),
            ResponseCode::NXRRSet => {
                stale("that a set of them is gone, has other records, or is a wildcard's")
            }
            ResponseCode::YXRRSet => stale("records where there were to be none"),
            ResponseCode::NXDomain => stale("that a name is gone"),
            ResponseCode::YXDomain => stale("a name that was not to be there"),
            _ => Err(self.in_doubt(&format!("the answer is {}", name(code)))),
        }
    }

    /// What is wrong with the answer to a question, if anything is. `what` was asked.
    pub(super) fn question(&self, answer: &Answer, what: &str) -> Result<(), ApiError> {
        if let Some(refusal) = self.refusal(answer) {
            return Err(refusal);
        }
        let message = &answer.message;
        match message.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            code => return Err(self.unreachable(&format!("the answer about {what} is {}", name(code)))),
        }
        if !answer.proven {
            return Err(self.unreachable(&format!(
                "the answer about {what} is not signed with key {}",
                self.key
            )));
        }
        if message.truncation {
            return Err(self.unreachable(&format!("the answer about {what} is cut off")));
        }
        if !message.authoritative {
            return Err(self.refused(
                &format!("expected an authoritative answer about {what}, found one that is not"),
                format!(
                    "let `switch.rfc2136.server` be the primary of `{}`, and the name one of that zone, not of a zone below",
                    self.zone
                ),
            ));
        }
        Ok(())
    }

    /// What it has against the key, the zone or the message as such. Nothing was changed then.
    fn refusal(&self, answer: &Answer) -> Option<ApiError> {
        let (zone, key) = (self.zone, self.key);
        if let Some(fault) = answer.fault {
            return Some(match fault {
                TsigError::BadKey => self.refused(
                    &format!("the server does not take key {key} (BADKEY)"),
                    "let `switch.rfc2136.key` and `switch.rfc2136.algorithm` be as in the server's configuration, or add the \
                     key there; Knot says so as well of a key that no `acl` of the zone names",
                ),
                TsigError::BadSig => self.refused(
                    &format!("the signature of key {key} does not fit (BADSIG)"),
                    "let `switch.rfc2136.secret` be the secret that the server has for this key",
                ),
                TsigError::BadTime => self.bad_time(answer.ahead),
                TsigError::BadTrunc => self.refused(
                    &format!("the server wants a longer signature of key {key} (BADTRUNC)"),
                    "let the server take signatures of full length for this key",
                ),
                TsigError::Unknown(code) => self.refused(
                    &format!("the server does not take key {key} (TSIG error {code})"),
                    "the server's log says why",
                ),
            });
        }
        match answer.message.response_code {
            code @ (ResponseCode::Refused | ResponseCode::NotAuth) if !answer.proven => Some(self.refused(
                &format!(
                    "the server refuses and does not sign that ({}): it does not take key {key}, or has nothing to do with \
                     `{zone}`",
                    name(code)
                ),
                "let `switch.rfc2136.key`, `algorithm` and `secret` be as in the server's configuration, the clocks set by \
                 NTP, and the zone one of this server; PowerDNS says which it is in its log only",
            )),
            ResponseCode::Refused => Some(self.refused(
                &format!("key {key} may not do this in `{zone}` (REFUSED)"),
                format!(
                    "let `switch.rfc2136.server` be the primary of `{zone}`, and let the key change it: BIND `update-policy`, \
                     Knot `acl` with `action: update`, PowerDNS `TSIG-ALLOW-DNSUPDATE`; PowerDNS says so as well without \
                     `dnsupdate=yes`, and to an address that `allow-dnsupdate-from` leaves out"
                ),
            )),
            ResponseCode::NotAuth => Some(self.refused(
                &format!("the server is not the primary of `{zone}` (NOTAUTH)"),
                format!("let `switch.rfc2136.server` be the primary of `{zone}`, which the zone's SOA names"),
            )),
            ResponseCode::NotZone => Some(self.refused(
                &format!("a name of the change is not in `{zone}` (NOTZONE)"),
                "let `switch.dns.zone` be the zone that holds the names",
            )),
            ResponseCode::FormErr => Some(self.refused(
                "the server does not understand the message (FORMERR)",
                "see the server's log; a server from before RFC 2136 and RFC 8945 will not do",
            )),
            ResponseCode::NotImp => Some(self.refused(
                "the server takes no dynamic updates (NOTIMP)",
                "let `switch.rfc2136.server` be the zone's primary, and one that takes them: BIND, Knot, PowerDNS; a resolver \
                 and NSD do not",
            )),
            _ => None,
        }
    }

    fn bad_time(&self, ahead: Option<i64>) -> ApiError {
        let problem = match ahead {
            Some(ahead) => format!(
                "the clocks are {} s apart, {} (BADTIME; at most {FUDGE} s are taken)",
                ahead.unsigned_abs(),
                whose(ahead)
            ),
            None => format!("the clocks are more than {FUDGE} s apart (BADTIME)"),
        };
        self.refused(
            &problem,
            "let NTP set the clocks of this machine and of the server; `timedatectl` says whether it does",
        )
    }
}

/// Which clock is ahead.
pub(super) fn whose(ahead: i64) -> &'static str {
    if ahead < 0 {
        "this machine's is ahead"
    } else {
        "the server's is ahead"
    }
}

/// A response code as every manual writes it.
pub(in crate::switch::dns) fn name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        other => return format!("code {}", u16::from(other)),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, OpCode};

    use super::*;

    const ASKED: Asked<'static> = Asked {
        at: "ns1.example:53",
        zone: "example",
        key: "`k` (hmac-sha256)",
    };

    fn answer(code: ResponseCode, proven: bool, fault: Option<TsigError>, ahead: Option<i64>) -> Answer {
        Answer {
            message: Message::error_msg(1, OpCode::Update, code),
            proven,
            fault,
            ahead,
        }
    }

    fn update(code: ResponseCode, proven: bool) -> Result<(), ApiError> {
        ASKED.update(&answer(code, proven, None, None), "X")
    }

    #[test]
    fn each_code_has_its_own_words_and_cure() {
        let codes = [
            (ResponseCode::Refused, true),
            (ResponseCode::Refused, false),
            (ResponseCode::NotAuth, true),
            (ResponseCode::NotAuth, false),
            (ResponseCode::NotZone, true),
            (ResponseCode::FormErr, false),
            (ResponseCode::NotImp, false),
        ];
        let mut said = Vec::new();
        for (code, proven) in codes {
            let error = update(code, proven).unwrap_err();
            assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
            assert!(error.to_string().contains(&name(code)), "{error}");
            assert!(error.hint().is_some());
            said.push(error.to_string());
        }
        for fault in [
            TsigError::BadKey,
            TsigError::BadSig,
            TsigError::BadTrunc,
            TsigError::Unknown(99),
        ] {
            let error = ASKED
                .update(&answer(ResponseCode::NotAuth, false, Some(fault), None), "X")
                .unwrap_err();
            assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
            said.push(error.to_string());
        }
        said.sort();
        let all = said.len();
        said.dedup();
        assert_eq!(said.len(), all, "{said:?}");
    }

    #[test]
    fn after_the_key_was_taken_only_signed_words_count() {
        assert_eq!(update(ResponseCode::NoError, true), Ok(()));
        for code in [
            ResponseCode::NXRRSet,
            ResponseCode::YXRRSet,
            ResponseCode::NXDomain,
            ResponseCode::YXDomain,
        ] {
            assert!(
                matches!(update(code, true), Err(ApiError::Stale { .. })),
                "{code:?}"
            );
            assert!(update(code, false).unwrap_err().is_in_doubt(), "{code:?}");
        }
        assert!(update(ResponseCode::NoError, false).unwrap_err().is_in_doubt());
        assert!(update(ResponseCode::ServFail, true).unwrap_err().is_in_doubt());
        assert!(update(ResponseCode::BADVERS, true).unwrap_err().is_in_doubt());
    }

    #[test]
    fn a_clock_that_is_wrong_is_named() {
        for (ahead, words) in [
            (-900, "900 s apart, this machine's is ahead"),
            (900, "900 s apart, the server's is ahead"),
        ] {
            let answer = answer(ResponseCode::NotAuth, true, Some(TsigError::BadTime), Some(ahead));
            let error = ASKED.update(&answer, "X").unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("NTP")));
        }
    }

    #[test]
    fn only_an_authority_is_believed() {
        let mut good = answer(ResponseCode::NXDomain, true, None, None);
        good.message.metadata.authoritative = true;
        assert_eq!(ASKED.question(&good, "X"), Ok(()));
        good.proven = false;
        assert!(matches!(
            ASKED.question(&good, "X"),
            Err(ApiError::Unreachable { .. })
        ));
        let other = answer(ResponseCode::NoError, true, None, None);
        assert!(matches!(
            ASKED.question(&other, "X"),
            Err(ApiError::Refused { .. })
        ));
    }
}
