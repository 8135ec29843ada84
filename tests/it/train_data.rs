//! Data files: what each reader makes of a right one, and what it says of a wrong one.

use std::path::PathBuf;

use limbic::spec::LabelSet;
use limbic::train::data::{DataFormat, Dataset, read_texts};
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
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, b"ID,Tweet,anger,joy,fear\n2018-1,hello,NONE,NONE,NONE\n");
    let texts = read_texts(&path, DataFormat::EcCsv, &labels()).unwrap();
    assert_eq!((texts[0].id.as_str(), texts[0].text.as_str()), ("2018-1", "hello"));
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
    assert_eq!(read_texts(&kaggle.join("test.csv"), DataFormat::EcCsv, &ec_labels()).unwrap().len(), 3259);

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
