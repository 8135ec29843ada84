//! Bodies that are no JSON, no request, too much, or merely odd.

use serde_json::{Value, json};

use super::{JSON, ROUTES, Speaks};
use crate::serve::harness::{Plan, Running};

/// Sends every body to every route; how many that were.
fn each(
    server: &Running,
    faults: &[(&str, impl Fn(&Speaks) -> Vec<u8>)],
    expected: impl Fn(&Speaks, &str) -> (u16, &'static str),
) -> usize {
    let mut seen = 0;
    for route in &ROUTES {
        for (fault, body) in faults {
            let reply = server.send("POST", route.path, JSON, &body(route));
            route.check(&reply, expected(route, fault), fault);
            seen += 1;
        }
    }
    server.classify("after all that").expect(200);
    seen
}

type Body = Box<dyn Fn(&Speaks) -> Vec<u8>>;

fn nested(depth: usize) -> Body {
    Box::new(move |route| {
        let inner = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        format!("{{\"{}\":{inner}}}", route.member()).into_bytes()
    })
}

fn written(text: &'static [u8]) -> Body {
    Box::new(move |route| route.raw(text))
}

#[test]
fn what_is_no_json_is_400_everywhere() {
    let server = Plan::default().start();
    let whole = |change: fn(Vec<u8>) -> Vec<u8>| -> Body { Box::new(move |route| change(route.raw(b"a"))) };
    let faults: Vec<(&str, Body)> = vec![
        ("nothing", whole(|_| Vec::new())),
        ("white space", whole(|_| b" \n".to_vec())),
        ("half of it", whole(|body| body[..body.len() / 2].to_vec())),
        ("something behind it", whole(|body| [body, b" x".to_vec()].concat())),
        ("two of it", whole(|body| [body.clone(), body].concat())),
        ("a comma too many", whole(|body| [&body[..body.len() - 1], b",}"].concat())),
        ("a comment", whole(|body| [b"/* a */".to_vec(), body].concat())),
        ("single quotes", whole(|body| body.into_iter().map(|byte| if byte == b'"' { b'\'' } else { byte }).collect())),
        ("UTF-16", whole(|body| [vec![0xff, 0xfe], body.into_iter().flat_map(|byte| [byte, 0]).collect()].concat())),
        ("two byte order marks", whole(|body| ["\u{feff}\u{feff}".as_bytes().to_vec(), body].concat())),
        ("a form", whole(|_| b"inputs=a&input=a".to_vec())),
        ("a high surrogate alone", written(br"\ud800")),
        ("a low surrogate alone", written(br"\udc00")),
        ("surrogates the wrong way round", written(br"\udc00\ud800")),
        ("two high surrogates", written(br"\ud83d\ud83d")),
        ("an encoded surrogate", written(b"\xed\xa0\x80")),
        ("no UTF-8", written(b"\xff")),
        ("half a character", written(b"\xe2\x82")),
        ("an overlong character", written(b"\xc0\x80")),
        ("beyond Unicode", written(b"\xf5\x80\x80\x80")),
        ("a bare control character", written(b"a\x01b")),
        ("a bare NUL", written(b"\0")),
        ("a bare line feed", written(b"a\nb")),
        ("an unknown escape", written(br"\x41")),
        ("NaN", Box::new(|route| format!("{{\"{}\":NaN}}", route.member()).into_bytes())),
        ("infinity", Box::new(|route| format!("{{\"{}\":-Infinity}}", route.member()).into_bytes())),
        ("a number without end", Box::new(|route| format!("{{\"{}\":1e999}}", route.member()).into_bytes())),
        ("a leading zero", Box::new(|route| format!("{{\"{}\":01}}", route.member()).into_bytes())),
        ("depth 33", nested(32)),
        ("depth 120", nested(119)),
        ("depth 250000", nested(250_000)),
        ("brackets without end", whole(|_| "[".repeat(250_000).into_bytes())),
        ("objects without end", whole(|_| "{\"a\":".repeat(200_000).into_bytes())),
    ];
    let seen = each(&server, &faults, |_, _| (400, "malformed_json"));
    assert_eq!(seen, 33 * ROUTES.len());
}

#[test]
fn what_is_no_request_is_refused_everywhere() {
    let server = Plan::default().start();
    let plain = |body: Value| -> Body { Box::new(move |_| body.to_string().into_bytes()) };
    let member = |value: Value| -> Body { Box::new(move |route| json!({(route.member()): value}).to_string().into_bytes()) };
    let faults: Vec<(&str, Body)> = vec![
        ("a list", plain(json!([]))),
        ("a list of requests", plain(json!([{"input": "a", "inputs": "a"}]))),
        ("a string", plain(json!("a"))),
        ("a number", plain(json!(7))),
        ("null", plain(Value::Null)),
        ("an empty object", plain(json!({}))),
        ("no texts", member(Value::Null)),
        ("a number for a text", member(json!(7))),
        ("a huge number for a text", Box::new(|route| format!("{{\"{}\":{}}}", route.member(), "9".repeat(300)).into_bytes())),
        ("a boolean for a text", member(json!(true))),
        ("an object for a text", member(json!({"text": "a"}))),
        ("an empty list", member(json!([]))),
        ("a list with a number", member(json!(["a", 7]))),
        ("a list with null", member(json!(["a", null]))),
        ("lists in lists", member(json!([[["a"]]]))),
        ("thirty-one levels", nested(30)),
        (
            "texts twice",
            Box::new(|route| {
                let body = String::from_utf8(route.raw(b"a")).unwrap();
                format!("{},{}", &body[..body.len() - 1], &body[1..]).into_bytes()
            }),
        ),
    ];
    let seen = each(&server, &faults, |route, _| (route.wrong, "validation_failed"));
    assert_eq!(seen, 17 * ROUTES.len());
}

#[test]
fn texts_over_a_limit_are_refused_everywhere() {
    let server = Plan::default().start();
    let texts = |texts: Value| -> Body { Box::new(move |route| route.body(&texts).to_string().into_bytes()) };
    let faults: Vec<(&str, Body)> = vec![
        ("an empty text", texts(json!(""))),
        ("a blank text", texts(json!(" \t\r\n\u{a0}\u{2003}\u{3000}"))),
        ("an empty text among others", texts(json!(["a", "", "b"]))),
        ("a long text", texts(json!("é".repeat(20_001)))),
        ("a long text among others", texts(json!(["a", "b".repeat(20_001)]))),
        ("sixty-five texts", texts(json!(vec!["a"; 65]))),
        ("ten thousand texts", texts(json!(vec!["a"; 10_000]))),
    ];
    let expected = |route: &Speaks, fault: &str| match fault {
        "a long text" | "a long text among others" => (route.wrong, "text_too_long"),
        "sixty-five texts" | "ten thousand texts" => (413, "too_many_texts"),
        _ => (route.empty, "empty_text"),
    };
    assert_eq!(each(&server, &faults, expected), 7 * ROUTES.len());
}

/// What is odd and yet fine: the answer is one, and for one text.
#[test]
fn odd_but_right_is_answered_everywhere() {
    let server = Plan::default().start();
    let whole = |change: fn(Vec<u8>) -> Vec<u8>| -> Body { Box::new(move |route| change(route.raw(b"a"))) };
    let fine: Vec<(&str, Body)> = vec![
        ("a byte order mark", whole(|body| ["\u{feff}".as_bytes().to_vec(), body].concat())),
        ("white space around", whole(|body| [b"\r\n\t ".to_vec(), body, b"\n\n".to_vec()].concat())),
        ("an escaped NUL", written(br"a\u0000b")),
        ("nothing but NUL", written(br"\u0000")),
        ("an escaped pair", written(br"\ud83d\ude2d")),
        ("an escaped slash", written(br"\/")),
        ("the replacement character", written("\u{fffd}".as_bytes())),
        ("no character", written("\u{ffff}".as_bytes())),
        ("the last character", written("\u{10ffff}".as_bytes())),
        ("zero width", written("\u{200b}\u{200d}\u{2060}".as_bytes())),
        ("right to left", written("\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}".as_bytes())),
        ("a family", written("\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}".as_bytes())),
        ("half a flag", written("\u{1f1e9}".as_bytes())),
        ("mixed scripts", written("\u{43f}\u{440}\u{438} \u{4f60}\u{597d} \u{645}\u{631}\u{62d} \u{e2b}\u{e27}".as_bytes())),
        ("a mark without end", Box::new(|route| route.raw(format!("e{}", "\u{301}".repeat(10_000)).as_bytes()))),
        ("a word without end", Box::new(|route| route.raw("a".repeat(20_000).as_bytes()))),
        ("dashes without end", Box::new(|route| route.raw("-".repeat(20_000).as_bytes()))),
    ];
    let mut seen = 0;
    for route in &ROUTES {
        for (case, body) in &fine {
            // vLLM's shape refuses what is too long unless it may be cut.
            let mut body = body(route);
            if route.path.ends_with("/classify") {
                body = [&body.trim_ascii_end()[..body.trim_ascii_end().len() - 1], b",\"truncate_prompt_tokens\":-1}"].concat();
            }
            let reply = server.send("POST", route.path, JSON, &body);
            assert_eq!(reply.status, 200, "{case} at {}: {reply:?}", route.path);
            reply.json();
            seen += 1;
        }
    }
    assert_eq!(seen, 17 * ROUTES.len());
}
