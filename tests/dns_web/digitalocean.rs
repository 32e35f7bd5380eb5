//! DigitalOcean as its public documents have it: "DigitalOcean API: Domain Records" (List All, Create, Update, Delete a
//! Domain Record) and "Rate Limit". What they do not tell (the limit of a text, what becomes of a backslash) is as its
//! users report.

use pointsman::switch::dns::Zone;
use pointsman::switch::dns::digitalocean::Digitalocean;
use serde_json::{Value as Json, json};
use wiremock::Request;

use super::bench::{Bench, ZONE, token};
use super::fake::{Conflict, Fake, Row, Speaks, State, page};

pub struct Ocean(pub Fake);

impl Ocean {
    pub async fn start() -> Ocean {
        Ocean(Fake::start(Speaker).await)
    }
}

impl Bench for Ocean {
    fn client(&self, endpoint: Option<&str>, key: &str, zone: &str) -> Box<dyn Zone> {
        let own = self.0.uri();
        let settings = token(endpoint.unwrap_or(&own), key);
        Box::new(Digitalocean::new(&settings, zone).unwrap())
    }

    fn changes_type(&self) -> bool {
        false
    }
}

struct Speaker;

impl Speaks for Speaker {
    fn answer(&self, state: &mut State, request: &Request, body: &Json) -> (u16, Json) {
        let path = request.url.path();
        let Some(rest) = path.strip_prefix(&format!("/v2/domains/{ZONE}/records")) else {
            return not_found();
        };
        let id: Option<u64> = rest.strip_prefix('/').and_then(|id| id.parse().ok());
        let known = id.filter(|id| state.rows.contains_key(id));
        match (request.method.as_str(), id, known) {
            ("GET", None, _) => {
                let (rows, page, pages) = page(state, request);
                let rows: Vec<Json> = rows.into_iter().map(|(id, row)| record(id, row)).collect();
                let next = format!("https://api.digitalocean.com{path}?page={}", page + 1);
                let links = if page < pages {
                    json!({ "pages": { "next": next } })
                } else {
                    json!({})
                };
                let total = state.rows.len();
                (
                    200,
                    json!({ "domain_records": rows, "links": links, "meta": { "total": total } }),
                )
            }
            ("POST", None, _) => match row(state, body, None) {
                Ok(row) => {
                    let id = state.add(row.clone());
                    (201, json!({ "domain_record": record(id, &row) }))
                }
                Err(refusal) => refusal,
            },
            ("PUT", _, Some(id)) => match row(state, body, Some(id)) {
                Ok(row) => {
                    let answer = json!({ "domain_record": record(id, &row) });
                    state.rows.insert(id, row);
                    (200, answer)
                }
                Err(refusal) => refusal,
            },
            ("DELETE", _, Some(id)) => {
                state.rows.remove(&id);
                (204, Json::Null)
            }
            _ => not_found(),
        }
    }

    fn refuse_key(&self) -> (u16, Json) {
        (
            401,
            json!({ "id": "Unauthorized", "message": "Unable to authenticate you" }),
        )
    }
}

fn row(state: &State, body: &Json, but: Option<u64>) -> Result<Row, (u16, Json)> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let refuse = |message: &str| Err((422, json!({ "id": "unprocessable_entity", "message": message })));
    let row = Row {
        name: match text("name").as_str() {
            "@" => ZONE.to_owned(),
            label => format!("{label}.{ZONE}"),
        },
        kind: text("type"),
        // It is lost, and nobody is told.
        content: text("data").replace('\\', ""),
        ttl: body["ttl"].as_u64().unwrap_or(1800),
        proxied: false,
    };
    if row.ttl < 30 {
        return refuse("TTL must be greater than or equal to 30.");
    }
    if row.kind == "TXT" && row.content.len() + row.content.matches('"').count() + 2 > 512 {
        return refuse("Data is too long (maximum is 512 characters)");
    }
    if row.kind == "CNAME" && !row.content.ends_with('.') {
        return refuse("Data needs to end with a dot (.)");
    }
    if but.is_some_and(|id| state.rows[&id].kind != row.kind) {
        return refuse("Type cannot be changed");
    }
    match state.conflict(&row, but) {
        Some(Conflict::Cname) => refuse("CNAME records cannot share a name with other records"),
        Some(Conflict::Same) => refuse("This record already exists"),
        None => Ok(row),
    }
}

fn record(id: u64, row: &Row) -> Json {
    let name = match row.name.strip_suffix(ZONE).unwrap() {
        "" => "@",
        label => label.trim_end_matches('.'),
    };
    json!({
        "id": id, "type": row.kind, "name": name, "data": row.content.trim_end_matches('.'),
        "priority": null, "port": null, "ttl": row.ttl, "weight": null, "flags": null, "tag": null,
    })
}

fn not_found() -> (u16, Json) {
    let message = "The resource you were accessing could not be found.";
    (404, json!({ "id": "not_found", "message": message }))
}
