//! Prompts against transformers' chat templates, and around texts: borders, cuts, windows, refusals.

use std::fs;

use limbic::spec::LabelSet;
use limbic::text::{ChatTemplate, ChatTurns, Long, Normalization, Parts, Prompt, Reading, TextEncoder, TextError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::support::fixture;

#[derive(Deserialize)]
struct Fixture {
    day: String,
    labels: Vec<String>,
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    config: Value,
    system: Option<String>,
    user: String,
    variables: Map<String, Value>,
    prompts: Vec<String>,
    ids: Vec<Option<Vec<u32>>>,
}

const BEGIN: u32 = 0;
const TURN: u32 = 4;

fn chats() -> Fixture {
    serde_json::from_slice(&fs::read(fixture("tiny-prompt/chat.json")).unwrap()).expect("cases")
}

pub fn tokenizer(name: &str) -> Vec<u8> {
    fs::read(fixture("tiny-prompt").join(name)).unwrap()
}

fn labels(names: &[&str]) -> LabelSet {
    LabelSet::new(names.iter().copied()).expect("names")
}

fn encoder(prompt: &Prompt, max_length: usize) -> TextEncoder {
    TextEncoder::with_prompt(&tokenizer("byte-level.json"), Normalization::None, max_length, prompt).expect("a prompt that fits")
}

fn plain(template: &str) -> Prompt {
    Prompt::plain(template, &labels(&["joy", "fear"]), "<|end|>").expect("a template")
}

fn turns(user: &str) -> ChatTurns {
    ChatTurns { system: None, user: user.to_owned(), date: Some("2024-12-07".to_owned()), variables: Map::new() }
}

fn template(source: &str) -> ChatTemplate {
    let config = json!({"chat_template": source, "bos_token": "<|begin|>", "eos_token": "<|turn|>"});
    ChatTemplate::new(&config.to_string(), None).expect("a template")
}

#[test]
fn chats_are_those_of_transformers() {
    let Fixture { day, labels, texts, cases } = chats();
    let labels = LabelSet::new(labels).expect("names");
    let (mut prompts, mut encoded) = (0, 0);
    for case in cases {
        let template = ChatTemplate::new(&case.config.to_string(), None).expect("a template");
        let turns = ChatTurns { system: case.system, user: case.user, date: Some(day.clone()), variables: case.variables };
        let prompt = Prompt::chat(&template, &turns, &labels, None).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let encoder = encoder(&prompt, 1000);
        for ((text, expected), ids) in texts.iter().zip(&case.prompts).zip(&case.ids) {
            assert_eq!(&[&prompt.before, text.as_str(), &prompt.after].concat(), expected, "{}: {text:?}", case.name);
            prompts += 1;
            let found = encoder.encode(text).expect("a text");
            assert_eq!(found.ids().iter().filter(|id| **id == BEGIN).count(), 1, "{}: {:?}", case.name, found.ids());
            if let Some(ids) = ids {
                let own = usize::from(ids[0] == BEGIN);
                assert_eq!(found.ids()[1..], ids[own..], "{}: {text:?}", case.name);
                encoded += 1;
            }
        }
    }
    assert_eq!((prompts, encoded), (30, 24));
}

#[test]
fn a_control_token_that_somebody_typed_is_text() {
    let encoder = encoder(&plain("<|turn|>{text}<|turn|>"), 100);
    let found = encoder.encode("a <|turn|> b <|end|>").expect("a text");
    let own = encoder.own_tokens(&found);
    assert_eq!(encoder.around(), (&[BEGIN, TURN][..], &[TURN][..]));
    assert!(found.ids()[own.clone()].iter().all(|id| *id > 7), "{:?}", &found.ids()[own]);
}

#[test]
fn a_beginning_stands_once() {
    for template in ["Text:{text}", "<|begin|>Text:{text}", "<|begin|><|begin|>Text:{text}"] {
        let found = encoder(&plain(template), 100);
        assert_eq!(found.around().0[0], BEGIN, "{template}");
        assert!(found.around().0[1..].iter().all(|id| *id != BEGIN), "{template}");
        assert_eq!(found.encode("so").expect("a text"), encoder(&plain("Text:{text}"), 100).encode("so").expect("a text"), "{template}");
    }
}

#[test]
fn nothing_begins_behind_a_prompt() {
    let prompt = Prompt::plain("Q: {text} A: ", &labels(&["joy"]), "</s>").expect("a template");
    let json = tokenizer("prefixed.json");
    let encoder = TextEncoder::with_prompt(&json, Normalization::None, 100, &prompt).expect("a prompt that fits");
    let tokenizer = tokenizers::Tokenizer::from_bytes(&json).expect("a tokenizer");
    for (text, expected) in [("I am so happy", "Q: I am so happy A:"), ("", "Q: A:"), ("\u{1f602}", "Q: \u{1f602} A:")] {
        let ids = encoder.encode(text).expect("a text").ids().to_vec();
        assert_eq!((ids[0], tokenizer.decode(&ids[1..], false).expect("text").as_str()), (1, expected));
    }
}

#[test]
fn only_the_text_is_cut() {
    let prompt = plain("Name {labels}. TEXT: {text}\n### LABEL:");
    let (before, after) = {
        let whole = encoder(&prompt, 1000);
        (whole.around().0.to_vec(), whole.around().1.to_vec())
    };
    let around = before.len() + after.len();
    let encoder = encoder(&prompt, around + 5);
    let long = "so happy that we won and won and won and won";
    for (text, truncated) in [("so happy", false), ("", false), (long, true)] {
        let found = encoder.encode(text).expect("a text");
        assert_eq!(found.truncated(), truncated, "{text:?}");
        assert!(found.ids().starts_with(&before) && found.ids().ends_with(&after) && found.ids().len() <= around + 5, "{text:?}");
    }
    let reading = Reading { long: Long::Windows { step: None }, parts: Parts::None, most: 40 };
    let read = encoder.read(long, reading).expect("windows");
    assert!(read.passages.len() > 2, "{} windows", read.passages.len());
    for passage in &read.passages {
        let ids = passage.encoding.ids();
        assert!(ids.starts_with(&before) && ids.ends_with(&after) && ids.len() <= around + 5);
    }
    let first = &read.passages[0];
    assert_eq!((first.span.start, first.encoding.ids()), (0, encoder.encode(first.span.of(long)).expect("a text").ids()));
    assert_eq!(read.passages.last().map(|last| last.span.end), Some(long.chars().count()));
}

#[track_caller]
fn check_refused(found: Result<impl std::fmt::Debug, TextError>, told: &str) {
    let found = found.expect_err(told).to_string();
    assert!(found.contains(told), "{found}: expected {told}");
}

#[test]
fn prompts_that_cannot_be_are_refused() {
    let joy = labels(&["joy"]);
    check_refused(Prompt::plain("no place", &joy, "<|end|>"), "the text stands 0 times in it: expected once, as {text}");
    check_refused(Prompt::plain("{text} {text}", &joy, "<|end|>"), "stands 2 times");
    check_refused(Prompt::plain("{text}", &joy, ""), "the end token is empty");
    let open = |prompt: Prompt, most| TextEncoder::with_prompt(&tokenizer("byte-level.json"), Normalization::None, most, &prompt);
    check_refused(
        open(Prompt::plain("{text}", &joy, "</s>").unwrap(), 9),
        "the tokenizer has no token \"</s>\": expected it to be the end of an answer",
    );
    check_refused(open(plain("{text}").with_markers(vec!["<|user|>".to_owned()]), 9), "no token \"<|user|>\": expected it to be a marker");
    check_refused(open(plain("<|turn|><|role|>{text}<|turn|>"), 4), "takes 4 tokens: expected fewer than the maximum length of 4");
    assert!(open(plain("<|turn|><|role|>{text}<|turn|>"), 5).is_ok());
}

#[test]
fn templates_that_do_not_fit_are_refused() {
    let joy = labels(&["joy"]);
    let chat = |source: &str, turns: &ChatTurns, end| Prompt::chat(&template(source), turns, &joy, end);
    let body = "{% for m in messages %}{{ m.content }}<|turn|>{% endfor %}";
    assert!(chat(body, &turns("{text}"), None).is_ok());
    check_refused(chat("{{ messages[0].content }} {{ messages[0].content }}", &turns("{text}"), None), "stands 2 times");
    check_refused(chat("{{ messages[0].content[1:] }}", &turns("{text}"), None), "stands 0 times");
    check_refused(chat(body, &turns("nothing"), None), "stands 0 times");
    check_refused(chat(body, &turns("{text}"), Some("<|end|>")), "closes an answer with \"<|turn|>\": expected its end token \"<|end|>\"");
    check_refused(chat("{{ messages[0].content }}", &turns("{text}"), None), "no answer at all");
    check_refused(chat("{{ raise_exception('System role not supported') }}", &turns("{text}"), None), "System role not supported");
    check_refused(chat("{{ strftime_now('%d') }}", &ChatTurns { date: None, ..turns("{text}") }, None), "expected a date to be stated");
    check_refused(chat("{{ strftime_now('%Q') }}", &turns("{text}"), None), "%Q in the date format");
    check_refused(chat(body, &ChatTurns { date: Some("today".to_owned()), ..turns("{text}") }, None), "expected a day as YYYY-MM-DD");
    check_refused(chat("{% if %}", &turns("{text}"), None), "line 1");
    check_refused(ChatTemplate::new("{", None), "tokenizer_config.json: ");
    check_refused(ChatTemplate::new("{}", None), "expected chat_template in tokenizer_config.json, found none");
    let named = json!({"chat_template": [{"name": "tool_use", "template": "x"}]}).to_string();
    check_refused(ChatTemplate::new(&named, None), "expected one named \"default\", found [\"tool_use\"]");
    let no_end = ChatTemplate::new(&json!({"chat_template": body}).to_string(), None).unwrap();
    check_refused(Prompt::chat(&no_end, &turns("{text}"), &joy, None), "names no eos_token");
}

#[test]
fn a_template_of_its_own_file_goes_before_the_configuration() {
    let config = json!({"chat_template": "{{ nothing.at.all }}", "eos_token": {"content": "<|turn|>"}}).to_string();
    let template = ChatTemplate::new(&config, Some("{% for m in messages %}[{{ m.content }}<|turn|>]{% endfor %}")).unwrap();
    let prompt = Prompt::chat(&template, &turns("{text}?"), &labels(&["joy"]), None).unwrap();
    assert_eq!((prompt.before.as_str(), prompt.after.as_str(), prompt.end.as_str()), ("[", "?<|turn|>]", "<|turn|>"));
}
