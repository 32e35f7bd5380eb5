//! One call of the API of AWS: signed, bounded in time, and asked again where that can do no harm.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use rand::Rng as _;

use super::keys::Keys;
use super::problem::{self, Fault, Said};
use super::sigv4;
use super::skew::{self, Skew};
use crate::inventory::provider::Aws;
use crate::switch::Finding;
use crate::switch::api::ApiError;

/// Longest that one request may take. Both APIs answer within a second or two.
const REQUEST: Duration = Duration::from_secs(15);

/// Longest that a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// A kept connection is not used again after this: AWS may have ended it meanwhile, and a change that was sent on it
/// would be in doubt.
const IDLE: Duration = Duration::from_secs(10);

/// How often a call is made in all.
const ATTEMPTS: u32 = 4;

/// Pause after the first attempt, on average; doubled after each.
const PAUSE: Duration = Duration::from_millis(400);

/// Longest pause that a `Retry-After` may ask for: a flip does not wait longer without saying so.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Which API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::switch) enum Service {
    /// DNS. One for the whole world.
    Route53,
    /// Load balancers of one region.
    Elbv2,
}

impl Service {
    /// The inventory's table of its settings.
    pub(in crate::switch) fn table(self) -> &'static str {
        match self {
            Service::Route53 => "switch.aws",
            Service::Elbv2 => "switch.aws",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Service::Route53 => "Route 53",
            Service::Elbv2 => "Elastic Load Balancing",
        }
    }

    /// As a signature names it.
    fn scope(self) -> &'static str {
        match self {
            Service::Route53 => "route53",
            Service::Elbv2 => "elasticloadbalancing",
        }
    }

    /// Where it is, and for which region requests are signed. Route 53 has one place for each partition of AWS.
    /// <https://docs.aws.amazon.com/general/latest/gr/r53.html>
    fn place(self, region: &str) -> (String, String) {
        let of = |host: String, region: &str| (format!("https://{host}"), region.to_owned());
        match self {
            Service::Route53 if region.starts_with("cn-") => {
                of("route53.amazonaws.com.cn".to_owned(), "cn-northwest-1")
            }
            Service::Route53 if region.starts_with("us-gov-") => {
                of("route53.us-gov.amazonaws.com".to_owned(), "us-gov-west-1")
            }
            Service::Route53 => of("route53.amazonaws.com".to_owned(), "us-east-1"),
            Service::Elbv2 if region.starts_with("cn-") => {
                of(format!("elasticloadbalancing.{region}.amazonaws.com.cn"), region)
            }
            Service::Elbv2 => of(format!("elasticloadbalancing.{region}.amazonaws.com"), region),
        }
    }
}

/// What is sent besides the parameters.
#[derive(Debug, Clone)]
pub(in crate::switch) enum Body {
    /// Nothing; the parameters stand in the URL.
    None,
    /// The parameters themselves.
    Form,
    /// A document.
    Xml(String),
}

/// One call.
#[derive(Debug, Clone)]
pub(in crate::switch) struct Call<'a> {
    pub(in crate::switch) method: Method,
    /// Of plain characters only; begins with a slash.
    pub(in crate::switch) path: &'a str,
    pub(in crate::switch) parameters: Vec<(String, String)>,
    pub(in crate::switch) body: Body,
    /// Whether it changes anything: it is then never sent twice unless AWS said that it did nothing.
    pub(in crate::switch) changes: bool,
}

/// A way to one API, with the keys to it.
pub(in crate::switch) struct Client {
    /// Where, for messages: `Route 53 at https://route53.amazonaws.com`.
    pub(in crate::switch) at: String,
    service: Service,
    region: String,
    base: reqwest::Url,
    host: String,
    keys: Keys,
    http: reqwest::Client,
    skew: Skew,
}

/// How one attempt ended without an answer.
struct Ended {
    fault: Fault,
    /// Whether it can be made again, and where AWS said so, after how long.
    again: Option<Option<Duration>>,
}

impl Client {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// Refused where there are no keys, or where the endpoint is no URL.
    pub(in crate::switch) fn new(service: Service, settings: &Aws) -> Result<Client, ApiError> {
        let table = service.table();
        let keys = Keys::of(settings, table, &|name| std::env::var(name).ok())?;
        let (place, region) = service.place(&settings.region);
        let base = settings.endpoint.clone().unwrap_or(place);
        let unusable = |problem: String| ApiError::Refused {
            problem: format!("{base}: {problem}"),
            hint: format!("check `{table}.endpoint`"),
        };
        let url = reqwest::Url::parse(&base).map_err(|error| unusable(error.to_string()))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(unusable("expected a host, found none".to_owned())),
        };
        let http = crate::http::builder(REQUEST)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| unusable(problem::cause(&error)))?;
        Ok(Client {
            at: format!("{} at {}", service.name(), base.trim_end_matches('/')),
            service,
            region,
            base: url,
            host,
            keys,
            http,
            skew: Skew::new(),
        })
    }

    /// As ARNs begin: `aws`, or one of the parts of AWS that stand apart.
    pub(in crate::switch) fn partition(&self) -> &'static str {
        match self.region.get(..3) {
            Some("cn-") => "aws-cn",
            Some("us-") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Makes a call, up to [`ATTEMPTS`] times.
    pub(in crate::switch) async fn call(&self, call: &Call<'_>) -> Result<String, Fault> {
        let mut attempt = 1;
        loop {
            let ended = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(ended) => ended,
            };
            match ended.again {
                Some(asked) if attempt < ATTEMPTS && asked.is_none_or(|asked| asked <= LONGEST_PAUSE) => {
                    tokio::time::sleep(asked.unwrap_or_default().max(pause(attempt))).await;
                    attempt += 1;
                }
                _ => return Err(self.given_up(ended.fault, attempt)),
            }
        }
    }

    /// What a refusal means.
    pub(in crate::switch) fn refused(&self, said: Said) -> ApiError {
        said.refused(&self.at, self.service.table(), &self.skew.in_words())
    }

    /// What a fault means, where the caller has nothing to add.
    pub(in crate::switch) fn verdict(&self, fault: Fault) -> ApiError {
        match fault {
            Fault::Said(said) => self.refused(said),
            Fault::Api(error) => error,
        }
    }

    /// How far the clock is off, by the answers so far.
    pub(in crate::switch) fn clock(&self, server: &str) -> Finding {
        match self.skew.seconds() {
            Some(seconds) if seconds.abs() <= skew::MOST => {
                Finding::good(server, format!("clock: {}", self.skew.in_words()))
            }
            _ => Finding::bad(
                server,
                format!(
                    "clock: expected at most {} s off, found: {}",
                    skew::MOST,
                    self.skew.in_words()
                ),
                "set the clock of this machine: `timedatectl set-ntp true`",
            ),
        }
    }

    fn given_up(&self, fault: Fault, attempts: u32) -> Fault {
        match fault {
            Fault::Said(said) if said.is_throttled() => Fault::Api(ApiError::Refused {
                problem: format!(
                    "{}: throttled: {} (sent {attempts} times)",
                    self.at,
                    said.in_words()
                ),
                hint: "others use the same account's share of requests: wait a minute and try again"
                    .to_owned(),
            }),
            fault => fault,
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<String, Ended> {
        let query = sigv4::query(&call.parameters);
        let (in_url, content_type, body) = match &call.body {
            Body::None => (query.as_str(), None, String::new()),
            Body::Form => (
                "",
                Some("application/x-www-form-urlencoded; charset=utf-8"),
                query.clone(),
            ),
            Body::Xml(document) => (query.as_str(), Some("application/xml"), document.clone()),
        };
        let path = format!("{}{}", self.base.path().trim_end_matches('/'), call.path);
        let signed = sigv4::headers(
            &sigv4::Request {
                method: call.method.as_str(),
                path: &path,
                query: in_url,
                host: &self.host,
                content_type,
                body: body.as_bytes(),
            },
            &self.keys,
            &self.region,
            self.service.scope(),
            Timestamp::now(),
        );
        let mut url = self.base.clone();
        url.set_path(&path);
        url.set_query(Some(in_url).filter(|query| !query.is_empty()));
        let mut request = self.http.request(call.method.clone(), url);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let answer = match request.body(body).send().await {
            Ok(answer) => answer,
            Err(error) => return Err(self.unanswered(&error, call.changes)),
        };
        self.skew.measure(answer.headers());
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        match answer.text().await {
            Ok(body) if status.is_success() => Ok(body),
            Ok(body) => Err(self.refusal(status, &body, retry_after, call.changes)),
            Err(error) => Err(self.unanswered(&error, call.changes)),
        }
    }

    /// No answer came. Only a connection that was never made cannot have carried the request.
    fn unanswered(&self, error: &reqwest::Error, changes: bool) -> Ended {
        let problem = if error.is_timeout() {
            let longest = if error.is_connect() { CONNECT } else { REQUEST };
            format!("no answer within {} s", longest.as_secs())
        } else {
            problem::cause(error)
        };
        if error.is_connect() || error.is_builder() {
            return Ended {
                fault: problem::not_reached(&self.at, &problem),
                again: None,
            };
        }
        Ended {
            fault: problem::no_answer(&self.at, &problem, changes),
            // A question that took its whole time once is not given as much again.
            again: (!changes && !error.is_timeout()).then_some(None),
        }
    }

    /// An answer came, and it is no success.
    fn refusal(&self, status: StatusCode, body: &str, after: Option<Duration>, changes: bool) -> Ended {
        match problem::said(status, body) {
            Some(said) if said.is_throttled() => Ended {
                fault: Fault::Said(said),
                again: Some(after),
            },
            // A request that took too long there may have been done by then.
            Some(said) if status.is_client_error() && !said.is_late() => Ended {
                fault: Fault::Said(said),
                again: None,
            },
            // A 503 without a throttling code may be of the way back: whether the change was done is not known.
            said => {
                let words = said.map_or_else(|| "no words of AWS".to_owned(), |said| said.in_words());
                let problem = format!("expected an answer, found HTTP {status}: {words}");
                Ended {
                    fault: problem::no_answer(&self.at, &problem, changes),
                    again: (!changes && status.is_server_error()).then_some(after),
                }
            }
        }
    }
}

/// Half of the pause is chance, so that those who were refused together do not come again together.
fn pause(attempt: u32) -> Duration {
    let whole = PAUSE * 2_u32.saturating_pow(attempt - 1);
    whole.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// Seconds; AWS does not use the form with a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_place() {
        let place = |service: Service, region| service.place(region);
        assert_eq!(
            place(Service::Route53, "eu-west-1"),
            ("https://route53.amazonaws.com".to_owned(), "us-east-1".to_owned())
        );
        assert_eq!(place(Service::Route53, "cn-north-1").1, "cn-northwest-1");
        assert_eq!(
            place(Service::Elbv2, "eu-west-1"),
            (
                "https://elasticloadbalancing.eu-west-1.amazonaws.com".to_owned(),
                "eu-west-1".to_owned()
            )
        );
        assert!(
            place(Service::Elbv2, "cn-north-1")
                .0
                .ends_with("amazonaws.com.cn")
        );
    }
}
