//! Sentences, windows, explanations and mapped labels say of a text only what the text itself,
//! asked in other ways, says too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::harness::{LABELS, Plan, Running};

/// Texts of our own with what may shift a position: emoji, combining marks, entities, names, line
/// ends, scripts without spaces.
const TEXTS: [&str; 6] = [
    "So happy \u{1F602}\u{1F602}! And then? no.",
    "  caf\u{e9} cafe\u{301} &amp; @ann_1 saw https://a.example/x. Fine!\nNext line\r\n\r\nlast",
    "\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467} left. \u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}. \u{feff}bom",
    "\u{4f60}\u{597d}\u{3002}\u{518d}\u{89c1}\u{3002}",
    "one",
    "no!!! \u{1F62D} why... \u{201c}Yes.\u{201d} he said",
];

fn ask(server: &Running, body: &Value) -> Value {
    server.post("/v1/emotions", body).expect(200).json()
}

fn slice(text: &str, part: &Value) -> String {
    let at = |name: &str| usize::try_from(part[name].as_u64().unwrap()).unwrap();
    text.chars().skip(at("start")).take(at("end") - at("start")).collect()
}

#[test]
fn a_sentence_scores_as_it_would_alone() {
    let server = Plan::default().start();
    let answer = ask(&server, &json!({"input": TEXTS, "granularity": "sentence"}));
    let mut seen = 0;
    for (text, result) in TEXTS.iter().zip(answer["results"].as_array().unwrap()) {
        let whole = ask(&server, &json!({"input": text}));
        assert_eq!(result["scores"], whole["results"][0]["scores"], "the text as a whole is still there");
        let mut rest = 0;
        for span in result["spans"].as_array().unwrap() {
            let sentence = slice(text, span);
            assert_eq!(sentence, sentence.trim(), "of {text:?}");
            assert!(span["start"].as_u64().unwrap() >= rest, "in order, without overlap");
            rest = span["end"].as_u64().unwrap();
            let alone = ask(&server, &json!({"input": sentence}));
            for member in ["labels", "scores", "tokens", "truncated"] {
                assert_eq!(span[member], alone["results"][0][member], "{member} of {sentence:?} in {text:?}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn windows_cover_the_text_and_make_its_scores() {
    let server = Plan::default().start();
    for (text, stride, aggregation) in [
        ("again and ".repeat(30), 8, "max"),
        (format!("{} end", TEXTS[1].repeat(4)), 16, "mean"),
        ("\u{4f60}\u{597d}".repeat(60), 30, "max"),
        ("short".to_owned(), 1, "mean"),
    ] {
        let body = json!({"input": text, "granularity": "window", "window": {"stride": stride, "aggregation": aggregation}});
        let result = ask(&server, &body)["results"][0].clone();
        let windows = result["windows"].as_array().unwrap();
        assert_eq!(windows.len() > 1, text.len() > 10, "{text:?}");
        assert_eq!((result["truncated"].clone(), result["aggregation"].clone()), (json!(false), json!(aggregation)));
        assert!(slice(&text, &windows[0]).starts_with(text.trim().chars().next().unwrap()));
        assert!(windows.windows(2).all(|pair| pair[1]["start"].as_u64() <= pair[0]["end"].as_u64().map(|end| end + 4)), "no gap but space");
        assert!(text.trim().ends_with(&slice(&text, windows.last().unwrap())), "the end is read");
        for label in LABELS {
            let scores: Vec<f64> = windows.iter().map(|window| window["scores"][label].as_f64().unwrap()).collect();
            let expected = if aggregation == "max" {
                scores.iter().copied().fold(0.0, f64::max)
            } else {
                scores.iter().sum::<f64>() / scores.len() as f64
            };
            assert!((result["scores"][label].as_f64().unwrap() - expected).abs() < 1e-6, "{label} of {text:?}");
        }
    }
}

#[test]
fn a_word_counts_what_the_text_without_it_lacks() {
    let server = Plan::default().start();
    let mut seen = 0;
    for text in TEXTS {
        let result = ask(&server, &json!({"input": text, "explain": LABELS}))["results"][0].clone();
        for word in result["explanation"]["words"].as_array().unwrap() {
            let at = |name: &str| usize::try_from(word[name].as_u64().unwrap()).unwrap();
            let without: String = text.chars().take(at("start")).chain(text.chars().skip(at("end"))).collect();
            assert!(!slice(text, word).trim().is_empty());
            if without.trim().is_empty() {
                continue;
            }
            let rest = ask(&server, &json!({"input": without}))["results"][0].clone();
            for label in LABELS {
                let score = |result: &Value| result["scores"][label].as_f64().unwrap();
                let effect = word["effects"][label].as_f64().unwrap();
                assert!((score(&result) - score(&rest) - effect).abs() < 1e-6, "{label} of {:?} in {text:?}", slice(text, word));
                seen += 1;
            }
        }
    }
    assert!(seen >= 100, "saw {seen} effects");
}

#[test]
fn explained_are_the_labels_decided_or_else_the_likeliest() {
    let server = Plan::default().start();
    for at in 0..20 {
        let text = format!("text {at}");
        let result = ask(&server, &json!({"input": text, "explain": true}))["results"][0].clone();
        let held: Vec<&str> = result["labels"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let scores = result["scores"].as_object().unwrap();
        let top = scores.iter().max_by(|left, right| left.1.as_f64().unwrap().total_cmp(&right.1.as_f64().unwrap())).unwrap().0.as_str();
        let expected: Vec<&str> =
            LABELS.into_iter().filter(|label| if held.is_empty() { *label == top } else { held.contains(label) }).collect();
        let found: Vec<&String> = result["explanation"]["words"][0]["effects"].as_object().unwrap().keys().collect();
        assert_eq!(found, expected, "{result}");
    }
}

#[test]
fn mapped_labels_hold_where_one_behind_them_does() {
    let server = Plan::default().start();
    let behind = BTreeMap::from([("positive", vec!["joy", "optimism"]), ("negative", vec!["anger", "sadness"])]);
    for at in 0..30 {
        let own = ask(&server, &json!({"input": format!("text {at}")}))["results"][0].clone();
        let answer = ask(&server, &json!({"input": format!("text {at}"), "label_set": "valence"}));
        let mapped = &answer["results"][0];
        assert_eq!(mapped["thresholds"], own["thresholds"]);
        assert_eq!(answer["label_set"]["missing"], json!(["ambiguous", "neutral"]));
        for (label, sources) in &behind {
            let score = sources.iter().map(|source| own["scores"][source].as_f64().unwrap()).fold(0.0, f64::max);
            assert_eq!(mapped["scores"][label], json!(score));
            let holds = |result: &Value, label: &str| result["labels"].as_array().unwrap().contains(&json!(label));
            assert_eq!(holds(mapped, label), sources.iter().any(|source| holds(&own, source)), "{label} of text {at}");
        }
    }
}

#[test]
fn abstaining_says_why() {
    let server = Plan::default().start();
    let abstain = |policy: Value| ask(&server, &json!({"input": "so happy", "abstain": policy}))["results"][0].clone();
    let result = abstain(json!({"margin": 0}));
    let distance =
        |label: &str| (result["scores"][label].as_f64().unwrap() - result["thresholds"]["values"][label].as_f64().unwrap()).abs();
    let nearest = LABELS.into_iter().min_by(|left, right| distance(left).total_cmp(&distance(right))).unwrap();
    assert_eq!((&result["abstain"]["abstained"], &result["abstain"]["nearest"]), (&json!(false), &json!(nearest)));
    assert!((result["abstain"]["margin"].as_f64().unwrap() - distance(nearest)).abs() < 1e-6);
    assert_eq!(abstain(json!({"margin": 1}))["abstain"]["reasons"], json!(["margin"]));
    assert_eq!(abstain(json!({"score": 1, "margin": 1}))["abstain"]["reasons"], json!(["margin", "score"]));
}
