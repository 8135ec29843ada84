//! Data files: what each reader makes of a right one, and what it says of a wrong one.

use std::collections::HashSet;
use std::path::PathBuf;

use limbic::spec::LabelSet;
use limbic::train::data::{DataError, DataFormat, Dataset, Example, TextFormat, texts};
use limbic::train::groups::{Groups, normal_form};

use super::support;

fn labels() -> LabelSet {
    LabelSet::new(["anger", "joy", "fear"]).unwrap()
}

/// The real eleven, in the order that every file has.
pub(crate) fn ec_labels() -> LabelSet {
    let names = "anger anticipation disgust fear joy love optimism pessimism sadness surprise trust";
    LabelSet::new(names.split(' ')).unwrap()
}

fn file(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("rows");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(format: DataFormat, bytes: &[u8]) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, bytes);
    Dataset::read(&path, format, &labels()).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn check(format: DataFormat, bytes: &str, expected: &[(&str, &str, &str)]) {
    let data = read(format, bytes.as_bytes()).unwrap();
    let row = |(index, example): (usize, &limbic::train::data::Example)| {
        let bits: String = data.targets().row(index).iter().map(|&held| if held { '1' } else { '0' }).collect();
        (example.id.clone(), example.text.clone(), bits)
    };
    let found: Vec<(String, String, String)> = data.examples().iter().enumerate().map(row).collect();
    let found: Vec<(&str, &str, &str)> = found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn right_files_are_read() {
    let both = [("1", "say \"hi\", all", "010"), ("2", "fine", "000")];
    check(DataFormat::EcTsv, "ID\tTweet\tanger\tjoy\tfear\n1\tsay \"hi\", all\t0\t1\t0\n2\tfine\t0\t0\t0\n", &both);
    check(DataFormat::EcTsv, "ID\tTweet\tanger\tjoy\tfear\r\n1\tsay \"hi\", all\t0\t1\t0\r\n2\tfine\t0\t0\t0", &both);
    check(DataFormat::EcCsv, "ID,Tweet,anger,joy,fear\n1,\"say \"\"hi\"\", all\",0,1,0\n2,fine,0,0,0\n", &both);
    check(DataFormat::EcCsv, "ID,Tweet,anger,joy,fear\n1,\"two\nlines\",1,1,0\n", &[("1", "two\nlines", "110")]);
    check(DataFormat::Goemotions, "\"say \"\"hi\"\", all\"\t1\t1\nfine\t2,0\t2\n", &[both[0], ("2", "fine", "101")]);
    let lines = "{\"id\":\"1\",\"text\":\"say \\\"hi\\\", all\",\"labels\":[\"joy\"]}\n\n{\"id\":\"2\",\"text\":\"fine\",\"labels\":[]}\n";
    check(DataFormat::Jsonl, lines, &both);
}

/// The eight emotions of XED, in an order of our own.
fn eight() -> LabelSet {
    LabelSet::new("trust surprise sadness joy fear disgust anticipation anger".split(' ')).unwrap()
}

#[test]
fn formats_without_ids_are_given_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let read = |format, text: &str| Dataset::read(&file(&folder, text.as_bytes()), format, &eight()).unwrap();
    let data = read(DataFormat::Xed, "say \"hi\", all\t8, 1\r\n\r\nno\t4\r\n");
    let ids: Vec<&str> = data.examples().iter().map(|example| example.id.as_str()).collect();
    assert_eq!((ids, data.examples()[0].text.as_str()), (vec!["xed-1", "xed-3"], "say \"hi\", all"));
    let held: Vec<Vec<usize>> = (0..2).map(|row| (0..8).filter(|&label| data.targets().row(row)[label]).collect()).collect();
    assert_eq!(held, [vec![0, 7], vec![4]]);
    assert_eq!(data.left_out(), None);

    let data = read(DataFormat::XedNeutral, "9\tthe shop opens at nine\n\t\t\t\n9\t\n9\tit is on the left\t\t\n");
    assert_eq!((data.examples().len(), data.examples()[1].id.as_str()), (2, "xed-neutral-4"));
    assert_eq!((0..8).map(|label| data.targets().positives(label)).sum::<usize>(), 0);
    assert_eq!(data.left_out().unwrap().to_string(), "2 rows left out, the first in line 2: the text is empty");
}

#[test]
fn a_spreadsheets_error_is_no_text_and_is_counted() {
    let rows = "id,text,anger,joy,fear\na,#NAME?,1,0,0\nb,\"at last, home\",0,1,0\nc,#NAME?,0,0,1\nd,#NAME? is what it said,0,0,0\n";
    check(DataFormat::BrighterCsv, rows, &[("b", "at last, home", "010"), ("d", "#NAME? is what it said", "000")]);
    let data = read(DataFormat::BrighterCsv, rows.as_bytes()).unwrap();
    let told = "2 rows left out, the first in line 2: the text is the spreadsheet error #NAME?";
    assert_eq!(data.left_out().unwrap().to_string(), told);
    assert_eq!(data.select(&[1]).left_out(), data.left_out());
    let nothing = read(DataFormat::BrighterCsv, b"id,text,anger,joy,fear\na,#NAME?,1,0,0\n").unwrap_err();
    assert_eq!(nothing, "FILE: expected at least one row, found none");
}

#[test]
fn wrong_files_of_fixed_labels_are_refused_by_name() {
    let cases = [
        (DataFormat::Xed, "no\n", "FILE:1: expected 2 columns, found 1"),
        (DataFormat::Xed, "no\t1\nwell\t1, 9\n", "FILE:2: labels: expected numbers from 1 to 8, parted by commas, found \"1, 9\""),
        (DataFormat::Xed, "no\t0\n", "FILE:1: labels: expected numbers from 1 to 8, parted by commas, found \"0\""),
        (DataFormat::XedNeutral, "9\ta\t\tb\n", "FILE:1: expected 2 columns, found 4"),
        (DataFormat::XedNeutral, "9\ta\n1\tb\n", "FILE:2: label: expected 9, which stands for neutral, found \"1\""),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (format, text, expected) in cases {
        let path = file(&folder, text.as_bytes());
        let said = Dataset::read(&path, format, &eight()).unwrap_err().to_string();
        assert_eq!(said.replace(path.to_str().unwrap(), "FILE"), expected);
    }
    for format in [DataFormat::Xed, DataFormat::XedNeutral] {
        let said = read(format, b"no\t1\n").unwrap_err();
        let expected = "FILE: expected the labels anger,anticipation,disgust,fear,joy,sadness,surprise,trust, which this format has, found \
                        anger,joy,fear";
        assert_eq!(said, expected);
    }
    let said = read(DataFormat::BrighterCsv, b"ID,Tweet,anger,joy,fear\na,b,1,0,0\n").unwrap_err();
    assert_eq!(said, "FILE:1: expected the header \"id,text,anger,joy,fear\", found \"ID,Tweet,anger,joy,fear\"");
}

#[test]
fn wrong_files_are_refused_by_name() {
    let header = "ID\tTweet\tanger\tjoy\tfear\n";
    let cases: &[(DataFormat, Vec<u8>, &str)] = &[
        (DataFormat::EcTsv, b"".into(), "FILE: expected at least one row, found none"),
        (DataFormat::EcTsv, header.into(), "FILE: expected at least one row, found none"),
        (
            DataFormat::EcTsv,
            "ID\tTweet\tjoy\tanger\tfear\n".into(),
            "FILE:1: expected the header \"ID,Tweet,anger,joy,fear\", found \"ID,Tweet,joy,anger,fear\"",
        ),
        (DataFormat::EcTsv, "\n1\tx\t0\t0\t0\n".into(), "FILE:1: expected the header \"ID,Tweet,anger,joy,fear\", found \"1,x,0,0,0\""),
        (DataFormat::EcTsv, format!("{header}1\tx\t0\t1\n").into(), "FILE:2: expected 5 columns, found 4"),
        (DataFormat::EcTsv, format!("{header}1\tx\t0\t1\t2\n").into(), "FILE:2: fear: expected 0 or 1, found \"2\""),
        (
            DataFormat::EcTsv,
            format!("{header}1\tx\t0\t0\t0\n7\ty\t0\t0\t0\n1\tz\t0\t0\t0\n").into(),
            "FILE:4: id \"1\" stands in line 2 already",
        ),
        (DataFormat::EcTsv, format!("{header} \tx\t0\t1\t0\n").into(), "FILE:2: id: expected at least one character, found \" \""),
        (
            DataFormat::EcTsv,
            format!("{header}1\tx\tNONE\tNONE\tNONE\n").into(),
            "FILE:2: expected labels, found an unlabelled row; such a file can be predicted, not trained on or evaluated",
        ),
        (DataFormat::EcTsv, format!("{header}1\tx\tNONE\t0\t0\n").into(), "FILE:2: anger: expected 0 or 1, found \"NONE\""),
        (DataFormat::EcTsv, [header.as_bytes(), b"1\tcaf\xe9\t0\t0\t0\n"].concat(), "FILE:2: expected UTF-8 text, found the byte 0xe9"),
        (DataFormat::EcCsv, "ID,Tweet,anger,joy,fear\n1,a,b,0,0,0\n".into(), "FILE:2: expected 5 columns, found 6"),
        (DataFormat::EcCsv, "ID,Tweet,anger,joy,fear\n1,\"a\nb\",0,0,0\n2,c,0,0,x\n".into(), "FILE:4: fear: expected 0 or 1, found \"x\""),
        (DataFormat::Goemotions, "x\t0\n".into(), "FILE:1: expected 3 columns, found 2"),
        (
            DataFormat::Goemotions,
            "x\t0\ta\ny\t1,3\tb\n".into(),
            "FILE:2: labels: expected label positions below 3, parted by commas, found \"1,3\"",
        ),
        (
            DataFormat::Jsonl,
            "{\"id\":\"1\",\"text\":\"x\",\"labels\":[\"jo\"]}".into(),
            "FILE:1: labels: expected names among anger, joy, fear, found \"jo\"",
        ),
        (
            DataFormat::Jsonl,
            "{\"id\":\"1\",\"text\":\"x\"}".into(),
            "FILE:1: expected labels, found an unlabelled row; such a file can be predicted, not trained on or evaluated",
        ),
        (
            DataFormat::Jsonl,
            "{\"id\":\"1\"}".into(),
            "FILE:1: object: expected {\"id\": text, \"text\": text, \"labels\": [names]}, found \"missing field `text` at line 1 column 10\"",
        ),
    ];
    for (format, bytes, expected) in cases {
        assert_eq!(read(*format, bytes).unwrap_err(), *expected);
    }
    assert_eq!(cases.len(), 18);
    let missing = Dataset::read(&PathBuf::from("no/such/file"), DataFormat::EcTsv, &labels()).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file: expected a readable file: "), "{missing}");
}

#[test]
fn equal_content_has_one_fingerprint_in_every_format() {
    let tabs = read(DataFormat::EcTsv, b"ID\tTweet\tanger\tjoy\tfear\n1\ta b\t0\t1\t0\n").unwrap();
    let lines = read(DataFormat::Jsonl, br#"{"id":"1","text":"a b","labels":["joy"]}"#).unwrap();
    let other = read(DataFormat::Jsonl, br#"{"id":"1","text":"a b","labels":["fear"]}"#).unwrap();
    assert_eq!(tabs.fingerprint(), lines.fingerprint());
    assert_ne!(tabs.fingerprint(), other.fingerprint());
}

#[test]
fn unlabelled_rows_can_be_predicted() {
    let found = |format: TextFormat, bytes: &str| -> Vec<(usize, String, String)> {
        let rows = streamed(&format, bytes.as_bytes()).unwrap();
        rows.into_iter().map(|(line, example)| (line, example.id, example.text)).collect()
    };
    let row = |line, id: &str, text: &str| (line, id.to_owned(), text.to_owned());
    let none = "ID,Tweet,anger,joy,fear\n2018-1,\"hello,\nyou\",NONE,NONE,NONE\n2018-2,bye,0,1,0\n";
    let both = [row(2, "2018-1", "hello,\nyou"), row(4, "2018-2", "bye")];
    assert_eq!(found(TextFormat::Labelled(DataFormat::EcCsv), none), both);
    let lines = "{\"id\":\"a\",\"text\":\"one\"}\n\n{\"id\":\"b\",\"text\":\"two\",\"labels\":[\"joy\"]}\n";
    assert_eq!(found(TextFormat::Labelled(DataFormat::Jsonl), lines), [row(1, "a", "one"), row(3, "b", "two")]);
    let columns = "when,what,who\r\nnow,\"hello,\r\nyou\",7\r\nthen,bye,8\r\nlast,end,9";
    let rows = [row(2, "7", "hello,\r\nyou"), row(4, "8", "bye"), row(5, "9", "end")];
    assert_eq!(found(named("who", "what"), columns), rows);
    let lines: Vec<usize> = found(named("who", "what"), &columns.replace('\r', "")).into_iter().map(|(line, ..)| line).collect();
    assert_eq!(lines, [2, 4, 5]);
}

fn named(id: &str, text: &str) -> TextFormat {
    TextFormat::Columns { id: id.to_owned(), text: text.to_owned() }
}

fn streamed(format: &TextFormat, bytes: &[u8]) -> Result<Vec<(usize, Example)>, DataError> {
    let labels = labels();
    let rows = texts(&PathBuf::from("FILE"), bytes, format, &labels)?;
    rows.collect()
}

#[test]
fn wrong_rows_are_never_passed_over() {
    let brighter = TextFormat::Labelled(DataFormat::BrighterCsv);
    let cases: [(TextFormat, &[u8], &str); 8] = [
        (named("id", "text"), b"id,what\n1,a\n", "FILE:1: expected one column \"text\", found \"id,what\""),
        (named("id", "text"), b"id,text,id\n1,a,1\n", "FILE:1: expected one column \"id\", found \"id,text,id\""),
        (named("id", "text"), b"id,text\n1,a\n2,b,c\n", "FILE:3: expected 2 columns, found 3"),
        (named("id", "text"), b"id,text\n1,a\n ,b\n", "FILE:3: id: expected at least one character, found \" \""),
        (named("id", "text"), b"id,text\n1,\"a\nb\xff\"\n", "FILE:3: expected UTF-8 text, found the byte 0xff"),
        (
            TextFormat::Labelled(DataFormat::EcTsv),
            b"ID\tTweet\n1\ta\n",
            "FILE:1: expected the header \"ID,Tweet,anger,joy,fear\", found \"ID,Tweet\"",
        ),
        (
            TextFormat::Labelled(DataFormat::Jsonl),
            b"{\"id\":\"1\",\"text\":\"a\"}\n{}\n",
            "FILE:2: object: expected {\"id\": text, \"text\": text, \"labels\": [names]}, found \"missing field `id` at line 1 column 2\"",
        ),
        (
            brighter,
            b"id,text,anger,joy,fear\n1,#NAME?,0,0,0\n",
            "FILE:2: text: expected a text; the text is the spreadsheet error #NAME?, found \"#NAME?\"",
        ),
    ];
    for (format, bytes, expected) in cases {
        assert_eq!(streamed(&format, bytes).unwrap_err().to_string(), expected);
    }
}

#[test]
fn near_duplicates_are_one_group() {
    let texts = [
        "I can't believe we won!!! #joy",
        "i cant believe we won http://t.co/abc joy",
        "@ann The whole thing was a complete waste of an afternoon, honestly",
        "@bob the whole thing was a complete waste of an afternoon honestly 😂",
        "The whole thing was a complete waste of one afternoon, honestly!",
        "What a lovely morning to walk along the river",
        "😂😂",
        "🔥",
    ];
    let groups = Groups::find(texts);
    assert_eq!(groups.of_row(), [0, 0, 1, 1, 1, 2, 3, 4]);
    assert_eq!(groups.members().len(), 5);
    assert_eq!(normal_form("@Ann  It's 10:45, #SoGood www.x.y"), "@ its 0000 sogood");
}

#[test]
fn the_real_files_of_other_label_spaces_are_read() {
    let Some(folder) = support::data("train_data::the_real_files_of_other_label_spaces_are_read") else { return };
    let annotated = Dataset::read(&folder.join("xed_en/en-annotated.tsv"), DataFormat::Xed, &eight()).unwrap();
    assert_eq!((annotated.examples().len(), annotated.left_out()), (17_528, None));
    let neutral = Dataset::read(&folder.join("xed_en/neu_en.txt"), DataFormat::XedNeutral, &eight()).unwrap();
    assert_eq!((neutral.examples().len(), neutral.left_out().unwrap().first), (9_674, 74));

    let five = LabelSet::new(["anger", "fear", "joy", "sadness", "surprise"]).unwrap();
    let read = |name: &str| Dataset::read(&folder.join("brighter_eng").join(name), DataFormat::BrighterCsv, &five).unwrap();
    let (train, dev) = (read("track_a_train.csv"), read("track_a_dev.csv"));
    assert_eq!((train.examples().len(), train.left_out().unwrap().rows), (2_759, 5));
    assert_eq!((dev.examples().len(), dev.left_out()), (115, None));

    let names = std::fs::read_to_string(folder.join("goemotions/labels.txt")).unwrap();
    let emotions = LabelSet::new(names.lines()).unwrap();
    let forms = |name: &str| -> Vec<String> {
        let data = Dataset::read(&folder.join("goemotions").join(name), DataFormat::Goemotions, &emotions).unwrap();
        data.examples().iter().map(|example| normal_form(&example.text)).collect()
    };
    let train: HashSet<String> = forms("train.tsv").into_iter().collect();
    let shared = |name: &str| forms(name).iter().filter(|form| train.contains(*form)).count();
    // Counted with a form that keeps more of a text, they were about 110 and 99.
    assert_eq!((shared("dev.tsv"), shared("test.tsv")), (116, 112));
}

#[test]
fn the_real_files_are_read() {
    let Some(folder) = support::data("train_data::the_real_files_are_read") else { return };
    let ec = folder.join("semeval2018_ec");
    let train = Dataset::read(&ec.join("E-c-En-train.txt"), DataFormat::EcTsv, &ec_labels()).unwrap();
    let positives: Vec<usize> = (0..11).map(|label| train.targets().positives(label)).collect();
    assert_eq!(positives, [2544, 978, 2602, 1242, 2477, 700, 1984, 795, 2008, 361, 357]);
    assert_eq!(train.examples().len(), 6838);

    let kaggle = folder.join("kaggle_emotion_detection_fall_2024");
    let both = Dataset::read(&kaggle.join("train.csv"), DataFormat::EcCsv, &ec_labels()).unwrap();
    assert_eq!(both.examples().len(), 7724);
    assert_eq!(both.targets().select(&(0..6838).collect::<Vec<_>>()), *train.targets());
    let (eleven, test) = (ec_labels(), std::fs::File::open(kaggle.join("test.csv")).unwrap());
    let unlabelled = texts(&kaggle, test, &TextFormat::Labelled(DataFormat::EcCsv), &eleven).unwrap();
    assert_eq!(unlabelled.filter(Result::is_ok).count(), 3259);

    let names = std::fs::read_to_string(folder.join("goemotions/labels.txt")).unwrap();
    let emotions = LabelSet::new(names.lines()).unwrap();
    let dev = Dataset::read(&folder.join("goemotions/dev.tsv"), DataFormat::Goemotions, &emotions).unwrap();
    assert_eq!((dev.examples().len(), emotions.len()), (5426, 28));

    let groups = Groups::find(train.examples().iter().map(|example| example.text.as_str()));
    let shared: Vec<usize> = groups.members().iter().map(Vec::len).filter(|&size| size > 1).collect();
    let rows: usize = shared.iter().sum();
    // Mostly one tweet with and without its hashtag, annotated apart: counted by comparing all pairs.
    assert!(shared.len().abs_diff(1061) <= 10 && rows.abs_diff(2209) <= 20, "{} groups, {rows} rows", shared.len());
}
