//! Cloudflare as its public documents have it: "Cloudflare API: DNS Records" (List, Batch), "Batch record changes", "DNS
//! record types", "Zones: List Zones", and the numbers of errors that its users report.

use pointsman::switch::dns::Zone;
use pointsman::switch::dns::cloudflare::Cloudflare;
use serde_json::{Value as Json, json};
use wiremock::Request;

use super::bench::{Bench, ZONE, token};
use super::fake::{Conflict, Fake, Row, Speaks, State, page, parameter};

pub const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";

pub struct Cloud(pub Fake);

impl Cloud {
    pub async fn start() -> Cloud {
        Cloud(Fake::start(Speaker).await)
    }
}

impl Bench for Cloud {
    fn client(&self, endpoint: Option<&str>, key: &str, zone: &str) -> Box<dyn Zone> {
        let own = format!("{}/client/v4", self.0.uri());
        let settings = token(endpoint.unwrap_or(&own), key);
        Box::new(Cloudflare::new(&settings, zone).unwrap())
    }

    fn changes_type(&self) -> bool {
        false
    }
}

struct Speaker;

impl Speaks for Speaker {
    fn answer(&self, state: &mut State, request: &Request, body: &Json) -> (u16, Json) {
        let path = request.url.path().trim_start_matches("/client/v4/").to_owned();
        let records = format!("zones/{ZONE_ID}/dns_records");
        match (request.method.as_str(), path.as_str()) {
            ("GET", "zones") => {
                let is_known = parameter(request, "name").as_deref() == Some(ZONE);
                let zones = if is_known {
                    json!([{ "id": ZONE_ID, "name": ZONE, "status": "active" }])
                } else {
                    json!([])
                };
                (200, success(zones, 1, 1))
            }
            ("GET", path) if path == records => {
                let (rows, page, pages) = page(state, request);
                let rows = rows.into_iter().map(|(id, row)| record(id, row)).collect();
                (200, success(Json::Array(rows), page, pages))
            }
            ("POST", path) if path == format!("{records}/batch") => {
                let before = (state.rows.clone(), state.last);
                batch(state, body).unwrap_or_else(|refusal| {
                    // One transaction: nothing of it was done.
                    (state.rows, state.last) = before;
                    refusal
                })
            }
            _ => failure(
                404,
                7003,
                "Could not route to the given path, perhaps your object identifier is invalid?",
            ),
        }
    }

    fn refuse_key(&self) -> (u16, Json) {
        failure(403, 9109, "Invalid access token")
    }
}

/// In the order that is documented, whatever the order in the request.
fn batch(state: &mut State, body: &Json) -> Result<(u16, Json), (u16, Json)> {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let gone = || failure(404, 81044, "Record does not exist.");
    let (mut deleted, mut patched, mut posted) = (Vec::new(), Vec::new(), Vec::new());
    for delete in list("deletes") {
        let id = number(&delete)
            .filter(|id| state.rows.contains_key(id))
            .ok_or_else(gone)?;
        deleted.push(record(id, &state.rows[&id]));
        state.rows.remove(&id);
    }
    for patch in list("patches") {
        let id = number(&patch).ok_or_else(gone)?;
        let mut row = state.rows.get(&id).cloned().ok_or_else(gone)?;
        row.content = patch["content"].as_str().map_or(row.content, str::to_owned);
        row.ttl = patch["ttl"].as_u64().unwrap_or(row.ttl);
        check(state, &row, Some(id))?;
        patched.push(record(id, &row));
        state.rows.insert(id, row);
    }
    for post in list("posts") {
        let text = |key: &str| post[key].as_str().unwrap_or_default().to_owned();
        let row = Row {
            name: text("name"),
            kind: text("type"),
            content: text("content"),
            ttl: post["ttl"].as_u64().unwrap_or(1),
            proxied: post["proxied"] == true,
        };
        check(state, &row, None)?;
        let id = state.add(row.clone());
        posted.push(record(id, &row));
    }
    let result = json!({ "deletes": deleted, "patches": patched, "puts": [], "posts": posted });
    Ok((
        200,
        json!({ "success": true, "errors": [], "messages": [], "result": result }),
    ))
}

fn check(state: &State, row: &Row, but: Option<u64>) -> Result<(), (u16, Json)> {
    if row.ttl != 1 && !(60..=86400).contains(&row.ttl) {
        return Err(failure(
            400,
            9021,
            "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
        ));
    }
    if row.content.len() > 4096 {
        return Err(failure(400, 9207, "Content is too long."));
    }
    match state.conflict(row, but) {
        Some(Conflict::Same) => Err(failure(400, 81058, "An identical record already exists.")),
        Some(Conflict::Cname) => Err(failure(
            400,
            81053,
            "An A, AAAA, or CNAME record with that host already exists.",
        )),
        None => Ok(()),
    }
}

/// Ids are 32 hexadecimal digits.
fn number(json: &Json) -> Option<u64> {
    u64::from_str_radix(json["id"].as_str()?, 16).ok()
}

fn record(id: u64, row: &Row) -> Json {
    json!({
        "id": format!("{id:032x}"), "name": row.name, "type": row.kind, "content": row.content,
        "proxiable": row.kind != "TXT", "proxied": row.proxied, "ttl": row.ttl,
        "settings": {}, "meta": {}, "comment": null, "tags": [],
        "created_on": "2026-01-01T05:20:00.12345Z", "modified_on": "2026-01-01T05:20:00.12345Z",
    })
}

fn success(result: Json, page: usize, pages: usize) -> Json {
    let info = json!({ "page": page, "per_page": 100, "total_pages": pages });
    json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info })
}

fn failure(status: u16, code: u64, message: &str) -> (u16, Json) {
    let errors = json!([{ "code": code, "message": message }]);
    (
        status,
        json!({ "success": false, "errors": errors, "messages": [], "result": null }),
    )
}
