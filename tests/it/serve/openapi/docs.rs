//! `docs/api.md` beside the document: the same routes, codes and members, and snippets that work.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::document::Document;
use super::{Plan, Zoo, tiny_server};
use crate::support::repo_root;

fn page(name: &str) -> String {
    fs::read_to_string(repo_root().join("docs").join(name)).unwrap()
}

/// Everything in backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table that begins with a header row like `header`, by cell.
fn table<'a>(text: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let rows = text.split_once(header).unwrap_or_else(|| panic!("no table {header:?}")).1;
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn document() -> Document {
    let dir = tempfile::tempdir().unwrap();
    Document::new(tiny_server(&dir).get("/openapi.json").expect(200).json())
}

#[test]
fn the_page_has_every_route_and_no_other() {
    let text = page("api.md");
    let told: BTreeSet<String> = table(&text, "| route | |").iter().flat_map(|row| code(row[0])).map(str::to_owned).collect();
    let operations = document().operations();
    let known: BTreeSet<String> = operations.iter().map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    assert_eq!(told, known);
    let zoo = Zoo::of(&["joy-1"]);
    let admin = zoo.serve(Plan::default(), "joy").get_admin("/openapi.json").json();
    let serving = page("serving.md");
    let told: BTreeSet<&str> = code(&serving).into_iter().filter(|code| code.contains(" /admin/")).collect();
    let operations = Document::new(admin).operations();
    let known = operations.iter().map(|operation| format!("{} {}", operation.method, operation.path));
    let known: BTreeSet<String> = known.filter(|route| route.contains("/admin/")).collect();
    assert_eq!(told, known.iter().map(String::as_str).collect());
}

#[test]
fn the_page_has_every_code_with_its_status() {
    let text = page("api.md");
    let rows = table(&text, "| status | code | when |");
    let told: BTreeSet<(String, String)> =
        rows.iter().flat_map(|row| code(row[1]).into_iter().map(|code| (row[0].to_owned(), code.to_owned()))).collect();
    let document = document();
    let mut known = BTreeSet::new();
    for operation in document.operations() {
        for (status, example) in document.errors(&operation) {
            known.extend(example["code"].as_str().map(|code| (status.clone(), code.to_owned())));
        }
    }
    // These two belong to no operation.
    known.extend([("404", "not_found"), ("405", "method_not_allowed")].map(|(status, code)| (status.to_owned(), code.to_owned())));
    assert_eq!(told, known);
}

/// The names of all members below a schema, without those that are labels.
fn members(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            for (name, member) in keywords.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if !crate::tiny::LABELS.contains(&name.as_str()) {
                    found.insert(name.clone());
                }
                members(member, found);
            }
            keywords.iter().filter(|(keyword, _)| *keyword != "properties").for_each(|(_, value)| members(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| members(value, found)),
        _ => {}
    }
}

#[test]
fn the_page_has_every_member() {
    let text = page("api.md");
    let document = document();
    let schemas = &document.value["components"]["schemas"];
    let native: BTreeSet<&str> = table(&text, "| member | meaning |").iter().map(|row| code(row[0])[0]).collect();
    let known = schemas["EmotionsRequest"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(native, known);
    let words: BTreeSet<&str> =
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).filter(|word| !word.is_empty()).collect();
    let mut found = BTreeSet::new();
    for (name, schema) in schemas.as_object().unwrap() {
        // What is told by others' names is told by others' documentation, and a card by its own fields.
        if !["Info", "ModelType", "Classifier", "ModelCard", "Figures", "ServerMetadata", "ModelMetadata"].contains(&name.as_str()) {
            members(schema, &mut found);
        }
    }
    assert!(found.len() > 80, "{found:?}");
    let missing: Vec<&String> = found.iter().filter(|member| !words.contains(member.as_str())).collect();
    assert!(missing.is_empty(), "docs/api.md says nothing of {missing:?}");
}

#[test]
fn every_snippet_works() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    let text = page("api.md");
    let snippets: Vec<&str> = text.split("```http\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    for snippet in &snippets {
        let (head, body) = snippet.split_once('\n').unwrap();
        let (method, path) = head.split_once(' ').unwrap();
        let kind = if path.ends_with("/bulk") { "application/x-ndjson" } else { "application/json" };
        let reply = server.send(method, &path.replace("{model}", "tiny"), &[("content-type", kind)], body.as_bytes()).expect(200);
        assert!(!reply.body.contains("\"error\""), "{snippet}: {reply:?}");
    }
    assert_eq!(snippets.len(), 7);
}
