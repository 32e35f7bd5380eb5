//! What a network or a busy AWS answers, and what is made of it: certain or in doubt, sent once or again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::{Kind, Route53, Zone as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::{replace, set, settings};

const ZONE: &str = "<R><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone></R>";
const EMPTY: &str = "<R><ResourceRecordSets/><IsTruncated>false</IsTruncated></R>";
const DONE: &str = "<R><ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status></ChangeInfo></R>";

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    ))
}

/// A server that knows the zone, answers `times` requests of a method so, and then as it should.
async fn server(method: &str, first: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::path("/2013-04-01/hostedzonesbyname"))
        .respond_with(ResponseTemplate::new(200).set_body_string(ZONE))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(matchers::method(method))
        .respond_with(first)
        .up_to_n_times(times)
        .with_priority(2)
        .mount(&server)
        .await;
    for (method, body) in [("POST", DONE), ("GET", EMPTY)] {
        Mock::given(matchers::method(method))
            .respond_with(ResponseTemplate::new(200).set_body_string(body))
            .with_priority(3)
            .mount(&server)
            .await;
    }
    server
}

/// What became of a change or a question, and how often it was sent.
async fn tried(server: &MockServer, changes: bool) -> (Result<(), ApiError>, usize) {
    let zone = Route53::new(&settings(&server.uri()), "example.com").unwrap();
    let result = if changes {
        change(&zone).await
    } else {
        ask(&zone).await
    };
    let requests = server.received_requests().await.unwrap();
    let sent = requests
        .iter()
        .filter(|request| request.url.path().contains("rrset"))
        .count();
    (result, sent)
}

async fn change(zone: &Route53) -> Result<(), ApiError> {
    let new = set("www.example.com", Kind::A, &["192.0.2.1"]);
    zone.replace(&[replace(None, Some(&new))]).await
}

async fn ask(zone: &Route53) -> Result<(), ApiError> {
    zone.read(&["www.example.com"]).await.map(drop)
}

#[tokio::test]
async fn what_was_throttled_is_sent_again() {
    for answer in [
        error(400, "Throttling", "Rate exceeded"),
        error(
            400,
            "PriorRequestNotComplete",
            "The request was rejected because Route 53 was still processing a prior request.",
        ),
        error(503, "RequestLimitExceeded", "Request limit exceeded."),
        ResponseTemplate::new(429).set_body_string("slow down"),
    ] {
        let (result, sent) = tried(&server("POST", answer.clone(), 2).await, true).await;
        assert_eq!((result, sent), (Ok(()), 3));
        let (result, sent) = tried(&server("GET", answer, 2).await, false).await;
        assert_eq!((result, sent), (Ok(()), 3));
    }
    let always = server("POST", error(400, "Throttling", "Rate exceeded"), 100).await;
    let (result, sent) = tried(&always, true).await;
    let refused = result.unwrap_err();
    println!("{refused}");
    assert!(
        refused.to_string().contains("throttled") && !refused.is_in_doubt(),
        "{refused:?}"
    );
    assert_eq!(sent, 4);
}

#[tokio::test]
async fn a_retry_after_is_honoured_up_to_a_bound() {
    let since = Instant::now();
    let asked = error(400, "Throttling", "Rate exceeded").insert_header("retry-after", "3");
    assert_eq!(tried(&server("POST", asked, 1).await, true).await, (Ok(()), 2));
    assert!(since.elapsed() >= Duration::from_secs(3));
    let asked = error(400, "Throttling", "Rate exceeded").insert_header("retry-after", "3600");
    let (result, sent) = tried(&server("POST", asked, 1).await, true).await;
    assert!(matches!(result, Err(ApiError::Refused { .. })), "{result:?}");
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn a_change_without_a_proper_answer_is_in_doubt_and_sent_once() {
    for answer in [
        error(500, "InternalFailure", "We are sorry"),
        error(503, "ServiceUnavailable", "Service is unavailable"),
        ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>"),
        ResponseTemplate::new(301).set_body_string("moved"),
        ResponseTemplate::new(200).set_body_string("welcome to this hotel"),
        ResponseTemplate::new(200).set_body_string("<html><body>welcome</body></html>"),
    ] {
        let (result, sent) = tried(&server("POST", answer, 1).await, true).await;
        let doubt = result.unwrap_err();
        println!("{doubt}");
        assert!(doubt.is_in_doubt(), "{doubt:?}");
        assert_eq!(sent, 1);
    }
}

#[tokio::test]
async fn a_question_is_asked_again() {
    let unavailable = error(503, "ServiceUnavailable", "Service is unavailable");
    assert_eq!(
        tried(&server("GET", unavailable.clone(), 2).await, false).await,
        (Ok(()), 3)
    );
    let (result, sent) = tried(&server("GET", unavailable, 100).await, false).await;
    assert!(matches!(result, Err(ApiError::Unreachable { .. })), "{result:?}");
    assert_eq!(sent, 4);
    let (result, _) = tried(
        &server("GET", ResponseTemplate::new(200).set_body_string("welcome"), 100).await,
        false,
    )
    .await;
    assert!(matches!(result, Err(ApiError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_with_the_seconds() {
    let date = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(400);
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let expired = error(
        400,
        "SignatureDoesNotMatch",
        "Signature not yet current: 20260101T000640Z is still later than 20260101T000500Z",
    )
    .insert_header("date", date.as_str());
    let server = server("GET", expired, 1).await;
    let (result, _) = tried(&server, false).await;
    let refused = result.unwrap_err();
    println!("{refused}");
    let skew = ["399 s ahead", "400 s ahead", "401 s ahead", "402 s ahead"];
    assert!(
        skew.iter().any(|skew| refused.to_string().contains(skew)),
        "{refused:?}"
    );
    assert!(refused.hint().unwrap().contains("set-ntp"), "{refused:?}");
}

/// Reads each request, and ends the connection without an answer, or with half of one.
async fn torn(half: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).await.unwrap();
            // The zone itself is found, so that what follows is what tears.
            if String::from_utf8_lossy(&buffer[..read]).contains("hostedzonesbyname") {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{ZONE}",
                    ZONE.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                continue;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            if half {
                let begun = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n<R><ChangeInfo>";
                stream.write_all(begun.as_bytes()).await.unwrap();
            }
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_torn_connection() {
    for half in [false, true] {
        let (url, count) = torn(half).await;
        let zone = Route53::new(&settings(&url), "example.com").unwrap();
        let doubt = change(&zone).await.unwrap_err();
        println!("{doubt}");
        assert!(doubt.is_in_doubt(), "{doubt:?}");
        assert_eq!(count.swap(0, Ordering::SeqCst), 1);
        let unread = ask(&zone).await.unwrap_err();
        assert!(matches!(unread, ApiError::Unreachable { .. }), "{unread:?}");
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn nobody_is_there_or_nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let zone = Route53::new(&settings(&url), "example.com").unwrap();
    let error = change(&zone).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    println!("{error}");

    let slow = ResponseTemplate::new(200)
        .set_body_string(DONE)
        .set_delay(Duration::from_secs(60));
    let (result, sent) = tried(&server("POST", slow, 1).await, true).await;
    let doubt = result.unwrap_err();
    println!("{doubt}");
    assert!(
        doubt.is_in_doubt() && doubt.to_string().contains("no answer within 15 s"),
        "{doubt:?}"
    );
    assert_eq!(sent, 1);
}
