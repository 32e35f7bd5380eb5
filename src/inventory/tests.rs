//! Whole inventories: extending, variables, and all mistakes at once.

use camino::Utf8Path;

use super::testing::{Lab, with};
use super::{Inventory, schema};

#[test]
fn all_mistakes_are_said_at_once_each_in_its_file() {
    let lab = Lab::new();
    lab.write(
        "common.toml",
        "[app]\nname = \"Shop\"\npath = \"/srv/shop\"\ncompose = \"nowhere.yml\"\n[ssh]\nprot = 22\n[[checks]]\nname = \"web\"\nport = 99999\npath = \"/\"\n",
    );
    let errors = lab.refused(
        "extends = \"common.toml\"\nswitches = 1\n[app]\nidentity = { path = \"/version\", prot = 80 }\n\
         [registry]\nserver = \"registry.example.com\"\nusername = \"${DOCKER_USER}\"\npassword = \"${DOCKER_PASS}\"\n\
         [pools.blue]\nhosts = [\"web 1\"]\n[switch]\nconnector = 1\n",
    );
    insta::assert_snapshot!(errors, @r#"
    error: the inventory has no key `switches`
     --> production.toml:2:1
      |
    2 | switches = 1
      | ^^^^^^^^ expected one of `extends`, `env`, `app`, `registry`, `ssh`, `pools`, `checks`, `migrate`, `switch`, `state`, found `switches`
      |
      = help: did you mean `switch`?

    error: `app.identity` has no key `prot`
     --> production.toml:4:33
      |
    4 | identity = { path = "/version", prot = 80 }
      |                                 ^^^^ expected one of `path`, `json`, `service`, `port`, found `prot`
      |
      = help: did you mean `port`?

    error: `registry.username` needs an environment variable
     --> production.toml:7:13
      |
    7 | username = "${DOCKER_USER}"
      |             ^^^^^^^^^^^^^^ expected DOCKER_USER to be set, found it unset
      |
      = help: set it: `export DOCKER_USER=...`, or give it a default: `${DOCKER_USER:-...}`

    error: `pools.green` is missing
     --> production.toml:9:2
      |
    9 | [pools.blue]
      |  ^^^^^ expected the other pool, found none
      |
      = help: add:
              [pools.green]
              hosts = ["web2.example.com"]

    error: `pools.blue.hosts[0]` is malformed
      --> production.toml:10:10
       |
    10 | hosts = ["web 1"]
       |          ^^^^^^^ expected `[user@]host[:port]`, with an IPv6 address in brackets before a port, found "web 1"

    error: `switch.routers` is missing
      --> production.toml:11:1
       |
    11 | [switch]
       | ^^^^^^^^ expected the routers, found none
       |
       = help: add `routers = ["lb1.example.com"]`

    error: `switch.connector` has the wrong type
      --> production.toml:12:13
       |
    12 | connector = 1
       |             ^ expected a string, found an integer
       |
       = help: put it in quotes: "1"

    error: `app.name` is malformed
     --> common.toml:2:8
      |
    2 | name = "Shop"
      |        ^^^^^^ expected lower-case letters, digits, `-` and `_`, first a letter or digit, at most 40 of them, found "Shop"

    error: `app.compose` names no file
     --> common.toml:4:11
      |
    4 | compose = "nowhere.yml"
      |           ^^^^^^^^^^^^^ expected a file at nowhere.yml, found nothing there

    error: `ssh` has no key `prot`
     --> common.toml:6:1
      |
    6 | prot = 22
      | ^^^^ expected one of `user`, `port`, `identity`, `jump`, `known_hosts`, `config`, `connect_timeout`, `max_connects`, found `prot`
      |
      = help: did you mean `port`?

    error: `checks[0].port` is out of range
     --> common.toml:9:8
      |
    9 | port = 99999
      |        ^^^^^ expected 1 to 65535, found 99999

    production.toml: 11 mistakes
    "#);
}

#[test]
fn programs_get_the_same_as_json() {
    let errors = Lab::new().load_text(&with("ssh.prot", "22")).unwrap_err();
    let mut diagnostics = serde_json::to_value(errors.diagnostics()).unwrap();
    diagnostics[0]["file"] = "production.toml".into();
    insta::assert_json_snapshot!(diagnostics, @r#"
    [
      {
        "message": "`ssh` has no key `prot`",
        "key": "ssh.prot",
        "file": "production.toml",
        "at": {
          "line": 20,
          "column": 1,
          "start": 300,
          "end": 304
        },
        "expected": "one of `user`, `port`, `identity`, `jump`, `known_hosts`, `config`, `connect_timeout`, `max_connects`",
        "found": "`prot`",
        "help": "did you mean `port`?",
        "related": null
      }
    ]
    "#);
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let errors = Lab::new().load_text(&with("ssh.prot", "22")).unwrap_err();
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains('\u{1b}'));
    assert!(
        errors.to_string().ends_with("production.toml: 1 mistake"),
        "{errors}"
    );
}

#[test]
fn no_valid_toml() {
    let lab = Lab::new();
    insta::assert_snapshot!(lab.refused("[app]\nname = \"shop\npath = /srv\n[pools.blue]\nhosts = [\"a\" \"b\"]\n"), @r#"
    error: no valid TOML: invalid basic string
     --> production.toml:2:13
      |
    2 | name = "shop
      |             ^ expected `"`, found the end of the line

    error: no valid TOML: string values must be quoted
     --> production.toml:3:8
      |
    3 | path = /srv
      |        ^^^^ expected literal string, found this

    error: no valid TOML: missing comma between array elements
     --> production.toml:5:14
      |
    5 | hosts = ["a" "b"]
      |              ^ expected `,`, found this

    production.toml: 3 mistakes
    "#);
    insta::assert_snapshot!(lab.refused("[app]\nname = \"a\"\nname = \"b\"\n"), @r#"
    error: no valid TOML: duplicate key
     --> production.toml:3:1
      |
    3 | name = "b"
      | ^^^^ expected each key once, found this

    production.toml: 1 mistake
    "#);
}

#[test]
fn no_file_and_no_name() {
    let lab = Lab::new();
    let load = |name: &str| Inventory::load(&lab.folder().join(name), &|_| None).unwrap_err();
    insta::assert_snapshot!(lab.plain(&load("nowhere.toml")), @"
    error: the inventory cannot be read
    --> nowhere.toml
     = note: expected a file, found No such file or directory (os error 2)

    nowhere.toml: 1 mistake
    ");
    lab.write("Live Site.toml", Lab::BASE);
    insta::assert_snapshot!(lab.plain(&load("Live Site.toml")), @r#"
    error: the file's name is no name of an environment
    --> Live Site.toml
     = note: expected lower-case letters, digits, `-` and `_`, first a letter or digit, at most 40 of them, found "Live Site"
     = help: rename the file, or add `env = "..."` at its top

    Live Site.toml: 1 mistake
    "#);
    lab.write("Live Site.toml", &format!("env = \"live\"\n{}", Lab::BASE));
    let named = Inventory::load(&lab.folder().join("Live Site.toml"), &|_| None).expect("valid");
    assert_eq!(named.env, "live");
}

#[test]
fn tables_merge_over_several_levels_and_lists_replace() {
    let lab = Lab::new();
    lab.write(
        "shared/base.toml",
        &Lab::BASE.replace("compose.yml", "../compose.yml"),
    );
    lab.write(
        "common.toml",
        "extends = \"shared/base.toml\"\n[app]\nkeep_releases = 5\n[app.identity]\njson = \"release.tag\"\n",
    );
    let inventory = lab
        .load_text("extends = \"common.toml\"\n[app]\nkeep_releases = 7\n[pools.blue]\nhosts = [\"other\"]\n")
        .expect("valid");
    assert_eq!(inventory.env, "production");
    assert_eq!(inventory.app.keep_releases, 7);
    assert_eq!(
        (
            inventory.app.identity.path.as_str(),
            inventory.app.identity.json.as_deref()
        ),
        ("/version", Some("release.tag"))
    );
    assert_eq!(inventory.hosts_of_blue(), ["other"]);
    assert!(
        inventory.app.compose.ends_with("shared/../compose.yml"),
        "{}",
        inventory.app.compose
    );
}

#[test]
fn what_cannot_be_extended() {
    let lab = Lab::new();
    lab.write("common.toml", "extends = \"production.toml\"\n");
    insta::assert_snapshot!(lab.refused("extends = \"common.toml\"\n"), @r#"
    error: `extends` goes round in a circle
     --> common.toml:1:11
      |
    1 | extends = "production.toml"
      |           ^^^^^^^^^^^^^^^^^ expected a file that does not lead back here, found production.toml -> common.toml -> production.toml

    production.toml: 1 mistake
    "#);
    let errors = lab.refused("extends = \"nowhere.toml\"\n");
    assert!(
        errors.contains("production.toml:1:11") && errors.contains("nowhere.toml"),
        "{errors}"
    );
    let errors = lab.refused("extends = [\"common.toml\"]\n");
    assert!(errors.contains("`extends` has the wrong type"), "{errors}");
}

#[test]
fn variables_that_are_not_set_are_pointed_at() {
    let errors = Lab::new().refused(
        &with("app.path", r#""/srv/${SHOP_FOLDER}""#)
            .replace("/nginx-health", "/${PATH")
            .replace("web1", "${A-B}"),
    );
    insta::assert_snapshot!(errors, @r#"
    error: `app.path` needs an environment variable
     --> production.toml:2:14
      |
    2 | path = "/srv/${SHOP_FOLDER}"
      |              ^^^^^^^^^^^^^^ expected SHOP_FOLDER to be set, found it unset
      |
      = help: set it: `export SHOP_FOLDER=...`, or give it a default: `${SHOP_FOLDER:-...}`

    error: `pools.blue.hosts[0]` refers to no variable
     --> production.toml:9:11
      |
    9 | hosts = ["${A-B}", "web2"]
      |           ^^^^^ expected `${NAME}` or `${NAME:-default}` (letters, digits and `_`, no digit first), found "A-B"
      |
      = help: a `$` that means itself before `{` is written `$$`

    error: `checks[0].path` is cut off
      --> production.toml:15:10
       |
    15 | path = "/${PATH"
       |          ^^ expected `}` after `${`, found none
       |
       = help: a `$` that means itself before `{` is written `$$`

    production.toml: 3 mistakes
    "#);
}

#[test]
fn what_a_variable_holds_is_checked_like_anything_else() {
    let lab = Lab::new();
    let path = lab.write("production.toml", &with("app.path", r#""/srv/${FOLDER}""#));
    let load =
        |folder: &'static str| Inventory::load(&path, &|name| (name == "FOLDER").then(|| folder.to_owned()));
    assert_eq!(load("shop").expect("valid").app.path, "/srv/shop");
    for hostile in ["$(id)", "a b", "../etc", "x\n", "${FOLDER}", ""] {
        assert!(load(hostile).is_err(), "{hostile:?}");
    }
}

#[test]
fn numbers_beyond_all_bounds() {
    let lab = Lab::new();
    for number in [
        "-1",
        "0",
        "99999999999999999999999999",
        "0xffff_ffff_ffff_ffff_ff",
    ] {
        let errors = lab.refused(&with("app.keep_releases", number));
        assert!(
            errors.contains("`app.keep_releases` is out of range") || errors.contains("TOML"),
            "{errors}"
        );
    }
    let errors = lab.refused(&with("app.keep_releases", "\"3\""));
    assert!(errors.contains("take off the quotes: 3"), "{errors}");
    for other in ["3.0", "true", "1979-05-27", "{}", "[]"] {
        assert!(
            lab.refused(&with("app.keep_releases", other))
                .contains("expected an integer"),
            "{other}"
        );
    }
}

#[test]
fn the_schema_is_for_editors() {
    let schema = schema();
    let text = schema.to_string();
    for annotation in [
        "\"grammar\"",
        "\"derived\"",
        "\"snippet\"",
        "\"null\"",
        "\"$ref\"",
    ] {
        assert!(!text.contains(annotation), "{annotation} in the schema");
    }
    insta::assert_json_snapshot!(schema["properties"]["registry"], @r#"
    {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "server": {
          "type": "string",
          "description": "`host` or `host:port`, as it stands before the first `/` of an image's name.",
          "examples": [
            "registry.example.com"
          ],
          "pattern": "^(?:(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*|\\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\\])(?::[0-9]{1,5})?)$|\\$\\{"
        },
        "username": {
          "type": "string",
          "description": "Login name. Both or neither of name and password are given.",
          "examples": [
            "${DOCKER_USER}"
          ],
          "pattern": "^(?:[A-Za-z0-9._+@$][A-Za-z0-9._+@$-]*)$|\\$\\{"
        },
        "password": {
          "type": "string",
          "description": "Password or token. Goes to the registry by standard input only, never into a command line.",
          "examples": [
            "${DOCKER_PASS}"
          ],
          "pattern": "^(?:[^\\x00-\\x1f\\x7f]+)$|\\$\\{"
        },
        "ca": {
          "type": "string",
          "description": "PEM file of the CA that signed the registry's certificate, relative to the file that names it.",
          "examples": [
            "ca.pem"
          ],
          "pattern": "^(?:[^\\x00-\\x20\\x7f\"'`$&|;<>(){}\\[\\]*?!#\\\\-][^\\x00-\\x20\\x7f\"'`$&|;<>(){}\\[\\]*?!#\\\\]*)$|\\$\\{"
        }
      },
      "description": "Where the images come from. Leave it out when hosts are logged in already or the registry is open."
    }
    "#);
    // A file that extends another, and the one that is extended, are both right in an editor.
    assert!(schema.get("required").is_none() && schema.pointer("/properties/app/required").is_none());
    let host = schema.pointer("/properties/pools/properties/blue/properties/hosts/items/anyOf/1/required");
    assert_eq!(host, Some(&serde_json::json!(["address"])));
    let check = schema.pointer("/properties/checks/items/required");
    assert_eq!(check, Some(&serde_json::json!(["name", "port", "path"])));
}

#[test]
fn examples_and_defaults_are_what_their_keys_take() {
    fn look(schema: &serde_json::Value, path: &str) {
        if let Some(pattern) = schema.get("pattern").and_then(|pattern| pattern.as_str()) {
            let regex = regex::Regex::new(pattern).expect("a pattern");
            let examples = schema
                .get("examples")
                .and_then(|examples| examples.as_array())
                .into_iter()
                .flatten();
            for value in examples.chain(schema.get("default")) {
                assert!(
                    regex.is_match(value.as_str().unwrap_or_default()),
                    "{path}: {value}"
                );
            }
        }
        for (key, part) in schema.as_object().into_iter().flatten() {
            look(part, &format!("{path}/{key}"));
        }
    }
    look(&schema(), "");
}

impl Inventory {
    fn hosts_of_blue(&self) -> Vec<&str> {
        self.pools[&super::Pool::Blue]
            .iter()
            .map(|host| host.address.as_str())
            .collect()
    }
}

#[test]
fn a_relative_inventory_is_found_from_where_we_are() {
    let loaded = Inventory::load(Utf8Path::new("inventory/vps.toml"), &|_| None).expect("valid");
    assert!(loaded.app.compose.is_absolute());
    assert_eq!(loaded.file, "inventory/vps.toml");
}
