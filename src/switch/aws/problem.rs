//! What the errors of AWS mean: refused, throttled, out of reach, or in doubt.

use http::StatusCode;

use crate::switch::api::ApiError;

/// Error codes that say that nothing was done because too much was asked.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    // Route 53: it still works on the change before.
    "PriorRequestNotComplete",
];

/// Codes that say that it took too long, with a status of the 4xx.
const LATE: [&str; 2] = ["RequestTimeout", "RequestTimeoutException"];

/// Codes that say that the clock of this machine, or that of AWS, is off.
const EXPIRED: [&str; 3] = ["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"];

/// An error that AWS itself answered with. Those of the 4xx statuses did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::switch) struct Said {
    pub(in crate::switch) status: StatusCode,
    /// `InvalidChangeBatch` and the like; empty where the answer has none.
    pub(in crate::switch) code: String,
    /// What is wrong, in its words; most often one.
    pub(in crate::switch) messages: Vec<String>,
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(in crate::switch) enum Fault {
    /// AWS said no, and did nothing.
    Said(Said),
    /// All else, for the caller as it is.
    Api(ApiError),
}

impl Fault {
    /// What came was no answer of AWS. Something may stand before it, so after a change nothing is certain.
    pub(super) fn garbled(at: &str, problem: &str, changes: bool) -> Fault {
        no_answer(
            at,
            &format!("expected an answer of AWS, found something else: {problem}"),
            changes,
        )
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Fault {
        Fault::Api(error)
    }
}

/// Something was sent, and no answer came that says whether it was done.
pub(super) fn no_answer(at: &str, problem: &str, changes: bool) -> Fault {
    let problem = format!("{at}: {problem}");
    Fault::Api(if changes {
        ApiError::InDoubt { problem }
    } else {
        ApiError::Unreachable {
            problem,
            hint: "try again; https://health.aws.amazon.com says whether AWS has trouble".to_owned(),
        }
    })
}

/// Nobody was reached, so nothing was sent.
pub(super) fn not_reached(at: &str, problem: &str) -> Fault {
    Fault::Api(ApiError::Unreachable {
        problem: format!("{at}: {problem}"),
        hint: "see that this machine reaches the API of AWS, and that region and endpoint are right"
            .to_owned(),
    })
}

/// Reads an error. A 429 is one whoever said it, and whatever with: it was not let through.
pub(super) fn said(status: StatusCode, body: &str) -> Option<Said> {
    let throttled = || Said {
        status,
        code: "TooManyRequests".to_owned(),
        messages: Vec::new(),
    };
    in_xml(status, body).or_else(|| (status == StatusCode::TOO_MANY_REQUESTS).then(throttled))
}

/// Both forms that AWS uses, `ErrorResponse` with one message and Route 53's `InvalidChangeBatch` with several.
fn in_xml(status: StatusCode, body: &str) -> Option<Said> {
    let document = roxmltree::Document::parse(body).ok()?;
    let named = |name: &'static str| {
        let nodes = document.descendants();
        nodes
            .filter(move |node| node.is_element() && node.tag_name().name() == name)
            .filter_map(|node| node.text())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let root = document.root_element().tag_name().name();
    let code = match named("Code").next() {
        Some(code) => code,
        None if root == "InvalidChangeBatch" => root.to_owned(),
        None => return None,
    };
    Some(Said {
        status,
        code,
        messages: named("Message").collect(),
    })
}

impl Said {
    /// `InvalidInput: the name is not valid`.
    pub(in crate::switch) fn in_words(&self) -> String {
        match self.messages.as_slice() {
            [] => self.code.clone(),
            messages => format!("{}: {}", self.code, messages.join("; ")),
        }
    }

    /// Whether it was given up there for the time that it took.
    pub(super) fn is_late(&self) -> bool {
        self.status == StatusCode::REQUEST_TIMEOUT || LATE.contains(&self.code.as_str())
    }

    /// Whether nothing was done because too much was asked.
    pub(super) fn is_throttled(&self) -> bool {
        THROTTLED.contains(&self.code.as_str()) || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    fn is_of_the_clock(&self) -> bool {
        let words = |message: &String| {
            message.contains("Signature expired") || message.contains("Signature not yet current")
        };
        EXPIRED.contains(&self.code.as_str()) || self.messages.iter().any(words)
    }

    /// The refusal that it is, with what to do about it. `table` is the inventory's, `skew` the clock in words.
    pub(super) fn refused(self, at: &str, table: &str, skew: &str) -> ApiError {
        let words = self.in_words();
        let (problem, hint) = match self.code.as_str() {
            _ if self.is_of_the_clock() => (
                format!("{words} ({skew})"),
                "set the clock of this machine: `timedatectl set-ntp true`".to_owned(),
            ),
            "InvalidClientTokenId" | "UnrecognizedClientException" | "AuthFailure" | "InvalidAccessKeyId" => {
                (
                    words,
                    format!("AWS does not know this key: check `{table}.access_key`, or AWS_ACCESS_KEY_ID"),
                )
            }
            "ExpiredToken" | "ExpiredTokenException" => (
                words,
                format!("the temporary keys have ended: fetch new ones for `{table}` or AWS_SESSION_TOKEN"),
            ),
            "SignatureDoesNotMatch" | "IncompleteSignature" | "MissingAuthenticationToken" => (
                format!("{words} ({skew})"),
                format!(
                    "the secret key does not fit the access key: check `{table}.secret_key`, or \
                     AWS_SECRET_ACCESS_KEY, and `{table}.region`"
                ),
            ),
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => (
                words,
                "allow the user or role of these keys what `pointsman switch config` prints".to_owned(),
            ),
            _ => (words, String::new()),
        };
        ApiError::Refused {
            problem: format!("{at}: {problem}"),
            hint,
        }
    }
}

/// The innermost cause: what wraps it repeats the URL and says no more.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> (String, String) {
        let said = said(StatusCode::FORBIDDEN, body).unwrap();
        let error = said.refused("Route 53", "switch.aws", "this machine is 400 s ahead of AWS");
        (error.to_string(), error.hint().unwrap_or_default().to_owned())
    }

    fn error(code: &str, message: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>x</RequestId></ErrorResponse>"
        )
    }

    #[test]
    fn each_has_its_cure() {
        let (problem, hint) = refusal(&error("InvalidClientTokenId", "The security token is invalid."));
        insta::assert_snapshot!(problem, @"Route 53: InvalidClientTokenId: The security token is invalid.");
        insta::assert_snapshot!(hint, @"AWS does not know this key: check `switch.aws.access_key`, or AWS_ACCESS_KEY_ID");
        let (problem, hint) = refusal(&error(
            "SignatureDoesNotMatch",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000140Z",
        ));
        insta::assert_snapshot!(problem, @"Route 53: SignatureDoesNotMatch: Signature expired: 20260101T000000Z is now earlier than 20260101T000140Z (this machine is 400 s ahead of AWS)");
        insta::assert_snapshot!(hint, @"set the clock of this machine: `timedatectl set-ntp true`");
        let (_, hint) = refusal(&error("SignatureDoesNotMatch", "The signature does not match."));
        assert!(hint.contains("secret_key"), "{hint}");
        let (_, hint) = refusal(&error("AccessDenied", "not authorized"));
        assert!(hint.contains("switch config"), "{hint}");
    }

    #[test]
    fn both_forms_are_read() {
        let batch = "<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages>\
                     <Message>one</Message><Message>two</Message></Messages></InvalidChangeBatch>";
        let said = said(StatusCode::BAD_REQUEST, batch).unwrap();
        assert_eq!(said.in_words(), "InvalidChangeBatch: one; two");
        assert!(super::said(StatusCode::BAD_GATEWAY, "<html><body>Bad gateway</body></html>").is_none());
        assert!(super::said(StatusCode::BAD_GATEWAY, "Bad gateway").is_none());
    }
}
