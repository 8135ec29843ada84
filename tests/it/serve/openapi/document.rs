//! An OpenAPI document as the tests read it: its operations, their examples, and whether an answer is
//! what they say.
//!
//! Answers are held to their schemas more strictly than a client would: a member that no schema
//! names is a fault, though the document does not forbid it.

use serde_json::{Value, json};

use crate::serve::harness::Reply;

const SCHEMAS: &str = "#/components/schemas/";

pub struct Document {
    pub value: Value,
    /// The component schemas, closed.
    strict: Value,
}

pub struct Operation {
    pub method: String,
    pub path: String,
    pub id: String,
    pub summary: String,
    value: Value,
}

impl Document {
    pub fn new(value: Value) -> Self {
        let mut strict = value["components"]["schemas"].clone();
        let open = parts(&strict);
        for (name, schema) in strict.as_object_mut().unwrap() {
            close(schema, open.contains(name));
        }
        Self { value, strict }
    }

    pub fn path(&self, path: &str) -> Option<&Value> {
        self.value["paths"].get(path)
    }

    pub fn operations(&self) -> Vec<Operation> {
        let paths = self.value["paths"].as_object().unwrap();
        let each = paths.iter().flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, value)| (path, method, value)));
        let operation = |(path, method, value): (&String, &String, &Value)| Operation {
            method: method.to_ascii_uppercase(),
            path: path.clone(),
            id: value["operationId"].as_str().unwrap().to_owned(),
            summary: value["summary"].as_str().unwrap_or_default().to_owned(),
            value: value.clone(),
        };
        each.map(operation).collect()
    }

    /// The path with the first value of each of its parameters.
    pub fn filled(&self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for parameter in operation.value["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            path = path.replace(&format!("{{{name}}}"), parameter["schema"]["enum"][0].as_str().unwrap());
        }
        assert!(!path.contains('{'), "{path}");
        path
    }

    /// Every example of the body: its content type, its name, itself.
    pub fn examples(&self, operation: &Operation) -> Vec<(String, String, Value)> {
        let mut found = Vec::new();
        for (content_type, content) in operation.value["requestBody"]["content"].as_object().into_iter().flatten() {
            for (name, example) in content["examples"].as_object().into_iter().flatten() {
                let faults = self.against(&content["schema"], &example["value"]);
                assert!(faults.is_empty(), "{} {name}: {faults:?}", operation.id);
                found.push((content_type.clone(), name.clone(), example["value"].clone()));
            }
        }
        found
    }

    /// Every example of an error, by status.
    pub fn errors(&self, operation: &Operation) -> Vec<(String, Value)> {
        let responses = operation.value["responses"].as_object().unwrap().iter();
        let content = responses.flat_map(|(status, response)| {
            response["content"].as_object().into_iter().flatten().map(move |(_, content)| (status, content))
        });
        let examples = content
            .flat_map(|(status, content)| content["examples"].as_object().into_iter().flatten().map(move |(_, example)| (status, example)));
        examples.map(|(status, example)| (status.clone(), example["value"].clone())).collect()
    }

    /// Holds an answer against what the operation says of its status: content type, headers, body.
    #[track_caller]
    pub fn check(&self, operation: &Operation, reply: &Reply) {
        let response = &operation.value["responses"][reply.status.to_string()];
        let kind = reply.header("content-type").unwrap_or_default().split(';').next().unwrap();
        assert!(response["content"].get(kind).is_some(), "{} does not answer {} with {kind:?}", operation.id, reply.status);
        for name in response["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(reply.header(name).is_some() || name.starts_with("inference"), "{} answers without {name}", operation.id);
        }
        if kind.ends_with("json") {
            self.hold(operation, &reply.status.to_string(), &reply.json());
        }
    }

    #[track_caller]
    pub fn hold(&self, operation: &Operation, status: &str, body: &Value) {
        let faults = self.faults(operation, status, body);
        assert!(faults.is_empty(), "{} {status}: {faults:?} in {body}", operation.id);
    }

    /// What of a body is not as the operation says.
    pub fn faults(&self, operation: &Operation, status: &str, body: &Value) -> Vec<String> {
        let content = operation.value["responses"][status]["content"].as_object().unwrap();
        let json = content.iter().find(|(kind, _)| kind.ends_with("json")).unwrap().1;
        self.against(&json["schema"], body)
    }

    fn against(&self, schema: &Value, body: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        schema["components"] = json!({"schemas": self.strict});
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    pub fn check_references(&self) {
        let text = self.value.to_string();
        let names: Vec<&str> = text.split(&format!("\"$ref\":\"{SCHEMAS}")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(self.value["components"]["schemas"].get(name).is_some(), "{name} is nowhere");
        }
    }
}

/// The schemas that only stand as parts of others, which are closed as a whole.
fn parts(schemas: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(schemas, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let parts = members.get("allOf").and_then(Value::as_array).into_iter().flatten();
            found.extend(parts.filter_map(|part| part["$ref"].as_str()?.strip_prefix(SCHEMAS).map(str::to_owned)));
            members.values().for_each(|value| collect(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// Lets a schema refuse members that it does not name; a part of another leaves that to the whole.
fn close(schema: &mut Value, part: bool) {
    let Some(members) = schema.as_object_mut() else { return };
    let whole = members.contains_key("allOf");
    // Beside members of its own an alternative says how they go together, not which there are.
    let parts = part || whole || members.contains_key("properties");
    for (keyword, value) in members.iter_mut() {
        match (keyword.as_str(), value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => list.iter_mut().for_each(|value| close(value, parts)),
            ("properties", Value::Object(list)) => list.values_mut().for_each(|value| close(value, false)),
            ("items" | "additionalProperties", value) => close(value, false),
            _ => {}
        }
    }
    let named = members.contains_key("properties") && !members.contains_key("additionalProperties");
    if !part && whole {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    } else if !part && named {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
}
