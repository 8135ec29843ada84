//! Chat templates: the Jinja that a checkpoint's `tokenizer_config.json` carries, rendered as
//! transformers' `apply_chat_template` renders it.
//!
//! The only file that knows the `minijinja` crate. A template is rendered once, when a prompt is made;
//! reading texts renders nothing. What a template may ask for beside the conversation is the day,
//! which is pinned, and its own special tokens. It is refused, in its own words where it has some.

use std::collections::BTreeMap;
use std::io;

use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, escape_formatter, syntax::SyntaxConfig};
use minijinja_contrib::pycompat;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::TextError;
use super::date::Date;

/// The tokens that a template may name.
const TOKENS: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A checkpoint's chat template and the special tokens that it may write.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    tokens: BTreeMap<&'static str, String>,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Turn<'a> {
    pub(super) role: &'a str,
    pub(super) content: &'a str,
}

/// What a template is told beside the conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The day that it may write.
    pub(super) date: Option<Date>,
    /// Variables of its own, by name.
    pub(super) variables: &'a serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Template {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl ChatTemplate {
    /// Reads the text of `tokenizer_config.json`, and of `chat_template.jinja` where the checkpoint
    /// has one: its template is then that one. Of several templates it is the one named `default`.
    ///
    /// # Errors
    /// [`TextError::ChatTemplate`] when the configuration is no JSON or there is no such template.
    pub fn new(tokenizer_config_json: &str, chat_template_jinja: Option<&str>) -> Result<Self, TextError> {
        let config: serde_json::Value =
            serde_json::from_str(tokenizer_config_json).map_err(|error| wrong(format!("tokenizer_config.json: {error}")))?;
        let source = match chat_template_jinja {
            Some(source) => source.to_owned(),
            None => default_template(&config)?,
        };
        let token = |name: &'static str| {
            let member = &config[name];
            member.as_str().or_else(|| member["content"].as_str()).map(|token| (name, token.to_owned()))
        };
        Ok(Self { source, tokens: TOKENS.into_iter().filter_map(token).collect() })
    }

    /// The token that ends what the model says, as the configuration states it.
    #[must_use]
    pub fn eos_token(&self) -> Option<&str> {
        self.tokens.get("eos_token").map(String::as_str)
    }

    /// The conversation as the model reads it; with `ask`, up to where the model is to speak.
    pub(super) fn render(&self, turns: &[Turn<'_>], ask: bool, around: Surroundings<'_>) -> Result<String, TextError> {
        let mut variables: BTreeMap<&str, Value> =
            around.variables.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))).collect();
        variables.extend(self.tokens.iter().map(|(&name, token)| (name, Value::from(token.as_str()))));
        variables.insert("messages", Value::from(Serde(turns)));
        variables.insert("add_generation_prompt", Value::from(ask));
        variables.extend(["tools", "documents"].map(|absent| (absent, Value::from(()))));
        let rendered = environment(around.date).and_then(|environment| environment.render_str(&self.source, variables));
        rendered.map_err(|error| wrong(reason(&error)))
    }
}

fn wrong(reason: String) -> TextError {
    TextError::ChatTemplate { reason }
}

fn default_template(config: &serde_json::Value) -> Result<String, TextError> {
    let found = &config["chat_template"];
    if found.is_null() {
        return Err(wrong("expected chat_template in tokenizer_config.json, found none".to_owned()));
    }
    match Template::deserialize(found) {
        Ok(Template::One(source)) => Ok(source),
        Ok(Template::Named(templates)) => {
            let names: Vec<&str> = templates.iter().map(|template| template.name.as_str()).collect();
            let told = wrong(format!("expected one named \"default\", found {names:?}"));
            templates.into_iter().find(|template| template.name == "default").map(|template| template.template).ok_or(told)
        }
        Err(_) => Err(wrong("chat_template: expected a text, or a list of names and templates".to_owned())),
    }
}

/// What went wrong, without the library's name for it.
fn reason(error: &Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    format!("{line}{}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

/// Jinja as transformers sets it: blocks eat their line's white space, nothing is escaped, Python's
/// methods of strings and mappings are there, and three helpers are.
fn environment(date: Option<Date>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(pycompat::unknown_method_callback);
    environment.set_formatter(python_words);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> { Err(invalid(message)) });
    environment.add_function("strftime_now", move |format: String| -> Result<String, Error> {
        let date = date.ok_or_else(|| invalid("it writes the day: expected a date to be stated with the prompt"))?;
        date.format(&format).map_err(invalid)
    });
    Ok(environment)
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// Writes a value as Jinja in Python does.
fn python_words(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let word = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return escape_formatter(out, state, value),
    };
    out.write_str(word).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let written = match indent {
        Some(indent) => dump(&value, PrettyFormatter::with_indent(" ".repeat(indent).as_bytes())),
        None => dump(&value, PythonFormatter),
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn dump(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8(bytes).expect("JSON is UTF-8; anything else, this is a bug"))
}

/// JSON with a space behind every comma and colon.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
