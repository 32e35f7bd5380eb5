//! The shared key (TSIG, RFC 8945): signs what is sent, and tells whether an answer is the key holder's.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::Message;
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError};
use secrecy::ExposeSecret as _;

use super::records;
use crate::inventory::provider::{Hmac, Rfc2136 as Settings};
use crate::switch::api::ApiError;

/// Seconds by which the clocks may differ: what RFC 8945 (section 10) recommends.
pub(super) const FUDGE: u16 = 300;

/// A key that signs.
pub(super) struct Key {
    signer: TSigner,
    /// Seconds that are added to this machine's clock; only tests have any.
    pub(super) offset: i64,
}

/// A message that was signed.
pub(super) struct Signed {
    /// As it is sent.
    pub(super) bytes: Vec<u8>,
    /// Its id.
    pub(super) id: u16,
    mac: Vec<u8>,
    /// Seconds since 1970, as this machine has it.
    at: u64,
}

/// What came back.
pub(super) struct Answer {
    /// The message.
    pub(super) message: Message,
    /// Whether it was signed with the key, for this very question.
    pub(super) proven: bool,
    /// What the server says of the key; it need not be proven.
    pub(super) fault: Option<TsigError>,
    /// Seconds by which the server's clock is ahead of this machine's, where the answer tells.
    pub(super) ahead: Option<i64>,
}

impl Key {
    /// The key of the settings.
    ///
    /// # Errors
    /// Refused where something is missing, or is no base64. The secret is never shown.
    pub(super) fn new(settings: &Settings) -> Result<Key, ApiError> {
        let name = settings.key.as_deref().ok_or_else(|| {
            refused(
                "`switch.rfc2136.key` is not given",
                "give the name of a TSIG key that the server knows",
            )
        })?;
        let secret = settings.secret.as_ref().ok_or_else(|| {
            refused(
                "`switch.rfc2136.secret` is not given",
                "give the key's secret, in base64, from the environment: `secret = \"${TSIG_SECRET}\"`",
            )
        })?;
        let secret = STANDARD
            .decode(secret.expose_secret().trim())
            .ok()
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| {
                refused(
                    "`switch.rfc2136.secret` is no base64",
                    "give the secret as the server's configuration has it; `tsig-keygen NAME` makes one",
                )
            })?;
        let algorithm = match settings.algorithm {
            Hmac::HmacSha256 => TsigAlgorithm::HmacSha256,
            Hmac::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let name = records::name(name)
            .map_err(|problem| refused(&format!("`switch.rfc2136.key`: {problem}"), "give the key's name"))?;
        let signer = TSigner::new(secret, algorithm, name, FUDGE).map_err(|error| {
            refused(
                &format!("`switch.rfc2136.algorithm`: {error}"),
                "take hmac-sha256",
            )
        })?;
        Ok(Key { signer, offset: 0 })
    }

    /// Its name and algorithm, for people.
    pub(super) fn words(&self) -> String {
        format!(
            "`{}` ({})",
            records::text(self.signer.signer_name()),
            self.signer.algorithm()
        )
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs().saturating_add_signed(self.offset)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// When it cannot be written: too long.
    pub(super) fn sign(&self, mut message: Message) -> Result<Signed, String> {
        let at = self.now();
        message
            .finalize(&self.signer, at)
            .map_err(|error| error.to_string())?;
        Ok(Signed {
            bytes: message.to_vec().map_err(|error| error.to_string())?,
            id: message.id,
            mac: message
                .signature
                .map(|record| record.data.mac)
                .unwrap_or_default(),
            at,
        })
    }

    /// Reads the answer to a signed message.
    ///
    /// A server that does not take the key answers with an empty signature, which hickory calls a truncated one: what it
    /// has against the key is read here from the record itself.
    ///
    /// # Errors
    /// When it is no DNS message, or one for another question.
    pub(super) fn read(&self, bytes: &[u8], asked: &Signed) -> Result<Answer, String> {
        let message = Message::from_vec(bytes).map_err(|error| format!("it is no DNS message: {error}"))?;
        if message.id != asked.id {
            return Err("it belongs to another question".to_owned());
        }
        let tsig = message.signature.as_ref().map(|record| &record.data);
        let fault = tsig.and_then(|tsig| match tsig.error {
            None | Some(TsigError::Unknown(0)) => None,
            error => error,
        });
        let fits = self
            .signer
            .verify_message_byte(bytes, Some(&asked.mac), true)
            .is_ok();
        let ahead = tsig.and_then(|tsig| ahead(tsig, fault, asked.at));
        // A clock that is too far away is what BADTIME is about, and its answer is good.
        let timely = ahead.is_some_and(|ahead| ahead.unsigned_abs() <= u64::from(FUDGE))
            || fault == Some(TsigError::BadTime);
        Ok(Answer {
            proven: fits && timely,
            fault,
            ahead,
            message,
        })
    }
}

/// Seconds that the server is ahead. It signs with its own time, but with ours where that is what it has against the
/// message; its own stands beside it then, in 48 bits.
fn ahead(tsig: &TSIG, fault: Option<TsigError>, at: u64) -> Option<i64> {
    let theirs = match fault {
        Some(TsigError::BadTime) => {
            let other: [u8; 6] = tsig.other.as_slice().try_into().ok()?;
            other.iter().fold(0, |time, byte| time << 8 | u64::from(*byte))
        }
        Some(_) => return None,
        None => tsig.time,
    };
    i64::try_from(theirs).ok()?.checked_sub(i64::try_from(at).ok()?)
}

fn refused(problem: &str, hint: &str) -> ApiError {
    ApiError::Refused {
        problem: problem.to_owned(),
        hint: hint.to_owned(),
    }
}
